from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.config import MixtureConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.mixture import Mixture
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.errors import CheckFailed, UserError


class Part:
    def __init__(self, prefix: str, count: int) -> None:
        self.prefix, self.count = prefix, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": f"{self.prefix}{index}", "speech": np.zeros(index + 1, np.float32), "text": self.prefix}

    def ids(self) -> list[str]:
        return [f"{self.prefix}{index}" for index in range(self.count)]

    def lengths(self) -> list[float]:
        return [index + 1.0 for index in range(self.count)]


@dataclass
class Built:
    """Stands for a component of the configuration."""

    part: Part

    def build(self, **needs: Any) -> Part:
        return self.part


def mixture(*parts: Part, **options: Any) -> Mixture:
    datasets: Any = {f"p{index}": Built(part) for index, part in enumerate(parts)}
    return Mixture(MixtureConfig(datasets=datasets, **options), sample_rate=None, recipe_dir=None)  # type: ignore[arg-type]


def test_without_weights_everything_stands_once_in_order() -> None:
    data = mixture(Part("a", 2), Part("b", 3))
    assert len(data) == 5
    assert data.ids() == ["a0", "a1", "b0", "b1", "b2"]
    assert [data[index]["id"] for index in range(-5, 0)] == data.ids()
    assert data.lengths().tolist() == [1, 2, 1, 2, 3]
    assert data.describe(3) == {"id": "b1", "text": "b"}
    assert data.source(3) == "p1: item 000001"
    assert data.epoch_indices(0, 0) is None
    with pytest.raises(IndexError):
        data[5]


def test_ids_of_parts_must_differ_or_be_prefixed() -> None:
    with pytest.raises(CheckFailed, match="id 'a1' is in parts 'p0' and 'p1'") as caught:
        mixture(Part("a", 2), Part("a", 3))
    assert len(caught.value.findings) == 2
    assert "prefix_ids: true" in str(caught.value)
    data = mixture(Part("a", 1), Part("a", 1), prefix_ids=True)
    assert data.ids() == ["p0/a0", "p1/a0"]
    assert data[1]["id"] == "p1/a0"


def test_weights_are_shares_of_the_epoch() -> None:
    data = mixture(Part("a", 100), Part("b", 10), weights={"p0": 1.0, "p1": 2.0}, epoch_size=31)
    names = [data.ids()[index][0] for index in data.epoch_indices(0, 0)]
    assert Counter(names) == {"a": 10, "b": 21}
    assert data.epoch_indices(3, 5).tolist() == data.epoch_indices(3, 5).tolist()
    assert data.epoch_indices(3, 5).tolist() != data.epoch_indices(3, 6).tolist()
    assert data.epoch_indices(3, 5).tolist() != data.epoch_indices(4, 5).tolist()


def test_over_epochs_every_item_of_a_part_comes_equally_often() -> None:
    data = mixture(Part("a", 7), Part("b", 4), weights={"p0": 1, "p1": 1}, epoch_size=6)
    counts = Counter(int(index) for epoch in range(28) for index in data.epoch_indices(1, epoch))
    assert {counts[index] for index in range(7)} == {12}
    assert {counts[index] for index in range(7, 11)} == {21}


def test_the_sampler_follows_the_choice() -> None:
    data = mixture(Part("a", 30), Part("b", 5), weights={"p0": 1, "p1": 1}, epoch_size=20)
    prepared = PreparedDataset(data)
    sampler = BatchSampler(prepared.lengths(), BatchConfig(size=4), dataset=prepared, seed=2)
    sampler.set_epoch(3)
    keys = [key for batch in sampler for key in batch]
    assert sorted(key.item for key in keys) == sorted(data.epoch_indices(2, 3).tolist())
    assert len(set(keys)) == 20
    assert prepared[keys[0]]["id"] == data.ids()[keys[0].item]


def test_every_epoch_of_a_mixture_has_as_many_batches_as_the_first() -> None:
    data = mixture(Part("a", 40), Part("b", 60), weights={"p0": 1, "p1": 1}, epoch_size=24)
    for start in (0, 7):
        sampler = BatchSampler(data.lengths(), BatchConfig(seconds=100), dataset=data, world_size=2)
        counts = []
        for epoch in range(start, start + 8):
            sampler.set_epoch(epoch)
            counts.append(len(list(sampler)))
            assert len(sampler) == counts[-1]
        first = BatchSampler(data.lengths(), BatchConfig(seconds=100), dataset=data, world_size=2)
        assert set(counts) == {len(first)}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"weights": {"p0": 1.0}}, "weights are given for p0, but the parts are p0, p1"),
        ({"weights": {"p0": 1.0, "p1": 0.0}}, "positive"),
        ({"epoch_size": 10}, "needs `weights`"),
    ],
)
def test_bad_settings_are_errors(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UserError, match=problem):
        mixture(Part("a", 2), Part("b", 2), **options)


def test_an_empty_part_is_an_error_and_the_fingerprint_follows_the_parts() -> None:
    with pytest.raises(UserError, match="part 'p1' is empty"):
        mixture(Part("a", 2), Part("b", 0))
    prints = {mixture(Part("a", count)).fingerprint() for count in (2, 2, 3)}
    assert len(prints) == 2
