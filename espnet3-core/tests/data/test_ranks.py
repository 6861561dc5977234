"""Who gets what, with any number of items and devices, either policy, mixtures, and after a resume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.config import MixtureConfig
from espnet3_core.data.dataset import Key, PreparedDataset, lengths_of
from espnet3_core.data.loader import build_loader
from espnet3_core.data.mixture import Mixture
from espnet3_core.data.sampler import BatchSampler
from hypothesis import given, settings
from hypothesis import strategies as st


class Tones:
    """Utterances of many lengths, known without decoding."""

    def __init__(self, prefix: str, count: int) -> None:
        self.prefix, self.seconds = prefix, np.random.default_rng(count).gamma(4, 1, count)

    def __len__(self) -> int:
        return len(self.seconds)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": self.ids()[index], "speech": np.zeros(int(10 * self.seconds[index]) + 1, np.float32)}

    def ids(self) -> list[str]:
        return [f"{self.prefix}{index}" for index in range(len(self))]

    def lengths(self) -> np.ndarray:
        return self.seconds


@dataclass
class Built:
    """Stands for a component of the configuration."""

    part: Tones

    def build(self, **needs: Any) -> Tones:
        return self.part


def mixed(counts: Sequence[int], weighted: bool) -> Mixture:
    parts: Any = {name: Built(Tones(name, count)) for name, count in zip("abc", counts, strict=False)}
    weights = {name: 1.0 + number for number, name in enumerate(parts)} if weighted else {}
    config = MixtureConfig(datasets=parts, weights=weights)
    return Mixture(config, sample_rate=None, recipe_dir=None)  # type: ignore[arg-type]


def ranks(data: Any, config: BatchConfig, world: int, seed: int = 0) -> list[BatchSampler]:
    return [
        BatchSampler(lengths_of(data), config, seed=seed, rank=rank, world_size=world, dataset=data)
        for rank in range(world)
    ]


CONFIGS = st.builds(
    BatchConfig,
    seconds=st.one_of(st.none(), st.floats(5, 60)),
    size=st.integers(5, 12),
    scope=st.sampled_from(["per_device", "global"]),
    uneven=st.sampled_from(["split", "drop"]),
    shuffle=st.booleans(),
)


@settings(max_examples=50, deadline=None)
@given(
    counts=st.lists(st.integers(5, 40), min_size=1, max_size=3),
    weighted=st.booleans(),
    config=CONFIGS,
    world=st.integers(1, 5),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_each_id_once_in_equal_steps_and_the_same_again_from_any_batch(
    counts, weighted, config, world, seed, data
) -> None:
    corpus = mixed(counts, weighted)
    before = ranks(corpus, config, world, seed)
    steps = {len(sampler) for sampler in before}
    assert len(steps) == 1
    for epoch in range(3):
        for sampler in before:
            sampler.set_epoch(epoch)
        batches = [list(sampler) for sampler in before]
        assert {len(mine) for mine in batches} == steps
        keys = Counter(key for mine in batches for batch in mine for key in batch)
        assert set(keys.values()) == {1}
        chosen = corpus.epoch_indices(seed, epoch) if config.shuffle else None
        items = Counter(key.item for key in keys)
        wanted = Counter(range(len(corpus)) if chosen is None else chosen.tolist())
        if config.uneven == "split" or world == 1 or config.scope == "global":
            assert items == wanted
            assert before[0].left_over() == 0
        else:
            assert not items - wanted
            assert before[0].left_over() == (wanted - items).total()
        start = data.draw(st.integers(0, min(steps)))
        for mine, sampler in zip(batches, ranks(corpus, config, world, seed), strict=True):
            sampler.set_epoch(epoch, start)
            assert list(sampler) == mine[start:]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("uneven", ["split", "drop"])
def test_loaders_of_two_devices_share_each_epoch_and_resume_in_it(workers: int, uneven: Any) -> None:
    corpus = PreparedDataset(mixed([17, 8], weighted=True), training=True)
    config = BatchConfig(seconds=12, workers=workers, uneven=uneven)

    def ids(rank: int, epoch: int, start: int = 0) -> list[list[str]]:
        loader = build_loader(corpus, config, seed=1, rank=rank, world_size=2)
        loader.set_epoch(epoch, start)
        return [batch["ids"] for batch in loader]

    shared = [ids(rank, 1) for rank in range(2)]
    assert len(shared[0]) == len(shared[1])
    drawn = Counter(corpus.ids()[index] for index in corpus.epoch_indices(1, 1).tolist())
    got = Counter(name for mine in shared for batch in mine for name in batch)
    assert got == drawn if uneven == "split" else not got - drawn
    assert [ids(rank, 1, 2) for rank in range(2)] == [mine[2:] for mine in shared]


def test_keys_tell_repeated_items_apart_over_devices() -> None:
    corpus = mixed([5, 30], weighted=True)
    samplers = ranks(corpus, BatchConfig(size=5), 3)
    keys = [key for sampler in samplers for batch in sampler for key in batch]
    assert len(keys) == len(set(keys)) == len(corpus)
    assert max(keys, key=lambda key: key.copy) == Key(
        0, *max((key.item, key.copy) for key in keys if key.copy)
    )
