from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.dataset import Key
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.errors import UserError

LENGTHS = np.random.default_rng(0).gamma(5, 1, 101)


def sampler(**options: Any) -> BatchSampler:
    return BatchSampler(LENGTHS, BatchConfig(seconds=40), **options)


def test_ranks_share_an_epoch_without_overlap_and_in_equal_steps() -> None:
    ranks = [sampler(rank=rank, world_size=3) for rank in range(3)]
    for one in ranks:
        one.set_epoch(4)
    batches = [list(one) for one in ranks]
    assert {len(b) for b in batches} == {len(one) for one in ranks}
    keys = [key for b in batches for batch in b for key in batch]
    assert sorted(key.item for key in keys) == list(range(101))
    assert {key.epoch for key in keys} == {4}


def test_starting_in_the_middle_gives_the_rest_of_the_epoch() -> None:
    one = sampler(seed=7)
    one.set_epoch(3)
    whole = list(one)
    again = sampler(seed=7)
    again.set_epoch(3, start_batch=5)
    assert list(again) == whole[5:]
    assert len(again) == len(whole)
    assert again.state()["plan"] == one.state()["plan"]
    assert sampler(seed=8).state()["plan"] != one.state()["plan"]


def test_items_left_out_do_not_appear() -> None:
    keep = LENGTHS > 4
    one = sampler(keep=keep)
    assert sorted(key.item for batch in one for key in batch) == np.flatnonzero(keep).tolist()
    with pytest.raises(UserError, match="no utterance is left"):
        list(sampler(keep=LENGTHS > 1000))


def test_unknown_lengths_need_a_size() -> None:
    with pytest.raises(UserError, match="has no lengths"):
        BatchSampler(None, BatchConfig(seconds=10), count=10)
    one = BatchSampler(None, BatchConfig(size=4, seconds=1.0), count=10)
    assert sorted(len(batch) for batch in one) == [2, 4, 4]


def test_repeated_items_are_told_apart() -> None:
    class Weighted:
        def epoch_indices(self, seed: int, epoch: int) -> list[int]:
            return [0, 1, 0, 2, 0]

    one = BatchSampler(np.ones(3), BatchConfig(size=2), dataset=Weighted())
    keys = sorted(key for batch in one for key in batch)
    assert keys == [Key(0, 0, 0), Key(0, 0, 1), Key(0, 0, 2), Key(0, 1, 0), Key(0, 2, 0)]
    unshuffled = BatchSampler(np.ones(3), BatchConfig(size=2), dataset=Weighted(), shuffle=False)
    assert sorted(key.item for batch in unshuffled for key in batch) == [0, 1, 2]


def test_utterances_beyond_the_limit_are_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        BatchSampler([1.0, 9.0], BatchConfig(seconds=5), names=lambda: ["short", "long"])
    assert "1 utterances are longer than a batch's 5 s" in caplog.text
    assert "long" in caplog.text


def test_waste_is_that_of_the_plan() -> None:
    one = BatchSampler([1.0, 2.0], BatchConfig(size=2), shuffle=False)
    assert one.waste() == pytest.approx(0.25)
