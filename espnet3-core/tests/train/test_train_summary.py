from types import SimpleNamespace
from typing import Any

import pytest
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.train.summary import batch_words


@pytest.mark.parametrize(
    ("batch", "world", "words"),
    [
        (BatchConfig(size=5), 1, "(per device); 5.0 utterances per update"),
        (BatchConfig(size=5, scope="global"), 2, "(global); 5.0 utterances per update"),
        (BatchConfig(size=5), 2, "8.3 utterances per update on average; uneven batches are split"),
        (BatchConfig(size=5, uneven="drop"), 2, "10.0 utterances per update on average"),
        (BatchConfig(size=5, uneven="drop"), 2, "dropped: 5 utterances in this epoch"),
    ],
)  # fmt: skip
def test_the_banner_tells_what_an_update_is_made_of(batch: BatchConfig, world: int, words: str) -> None:
    sampler = BatchSampler(None, batch, count=25, world_size=world)
    trainer: Any = SimpleNamespace(
        train_dataloader=SimpleNamespace(batch_sampler=sampler), world_size=world, accumulate_grad_batches=1
    )
    assert words in batch_words(trainer, batch)
