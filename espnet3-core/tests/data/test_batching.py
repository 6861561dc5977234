from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from espnet3_core.data.batching import padding_waste, plan_batches
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import UserError
from hypothesis import given, settings
from hypothesis import strategies as st

LENGTHS = st.lists(st.floats(0.05, 40.0), min_size=4, max_size=120)
LIMITS = st.one_of(
    st.tuples(st.floats(0.5, 100), st.none()),
    st.tuples(st.none(), st.integers(4, 20)),
    st.tuples(st.floats(0.5, 100), st.integers(4, 20)),
)


@settings(max_examples=150, deadline=None)
@given(LENGTHS, LIMITS, st.integers(1, 4), st.booleans())
def test_every_item_once_equal_steps_and_limits(lengths, limits, world, shuffle) -> None:
    seconds, size = limits
    options = {"seconds": seconds, "size": size, "shuffle": shuffle, "seed": 3, "world_size": world}
    plans = [plan_batches(lengths, epoch=epoch, **options) for epoch in range(3)]
    assert len({len(plan) for plan in plans}) == 1
    for plan in plans:
        assert sorted(index for batch in plan for index in batch) == list(range(len(lengths)))
        assert len(plan) % world == 0
        assert all(plan)
        over = [batch for batch in plan if not _within(lengths, batch, seconds, size)]
        assert not over or (len(plan) + world > len(lengths) and len(over) < world)


def _within(lengths, batch, seconds, size) -> bool:
    padded = max(lengths[index] for index in batch) * len(batch)
    inside = padded <= (seconds or np.inf) * (1 + 1e-9) and len(batch) <= (size or len(batch))
    return len(batch) == 1 or inside


@settings(max_examples=100, deadline=None)
@given(LENGTHS, LIMITS, st.integers(2, 4), st.booleans(), st.integers(0, 2))
def test_global_steps_hold_the_same_items_on_any_number_of_devices(
    lengths, limits, world, shuffle, epoch
) -> None:
    seconds, size = limits
    options = {"seconds": seconds, "size": size, "shuffle": shuffle, "epoch": epoch, "scope": "global"}
    alone = plan_batches(lengths, world_size=1, **options)
    shared = plan_batches(lengths, world_size=world, **options)
    steps = [shared[start : start + world] for start in range(0, len(shared), world)]
    assert sorted(index for batch in shared for index in batch) == list(range(len(lengths)))
    assert all(max(map(len, step)) - min(map(len, step)) <= 1 and min(map(len, step)) for step in steps)
    if min(map(len, alone)) >= world:
        assert [sorted(sum(step, [])) for step in steps] == [sorted(batch) for batch in alone]
    over = [step for step in steps if not _within(lengths, sum(step, []), seconds, size)]
    assert all(max(map(len, step)) == 1 for step in over) or len(alone) > len(lengths) // world


@settings(max_examples=100, deadline=None)
@given(LENGTHS, LIMITS, st.integers(1, 4), st.booleans())
def test_left_over_batches_are_dropped_when_that_is_asked_for(lengths, limits, world, shuffle) -> None:
    seconds, size = limits
    options = {"seconds": seconds, "size": size, "shuffle": shuffle, "world_size": world, "uneven": "drop"}
    plans = [plan_batches(lengths, epoch=epoch, **options) for epoch in range(3)]
    assert len({len(plan) for plan in plans}) == 1
    for plan in plans:
        held = [index for batch in plan for index in batch]
        assert len(held) == len(set(held)) and set(held) <= set(range(len(lengths)))
        assert len(plan) % world == 0 and all(plan)
        assert all(_within(lengths, batch, seconds, size) for batch in plan)
        if world == 1:
            assert len(held) == len(lengths)


def test_other_batches_are_dropped_in_each_epoch() -> None:
    plans = [
        plan_batches([1.0] * 50, size=5, world_size=4, uneven="drop", epoch=epoch) for epoch in range(12)
    ]
    assert {len(plan) for plan in plans} == {8}
    seen = [{index for batch in plan for index in batch} for plan in plans]
    assert {len(items) for items in seen} == {40}
    assert set.union(*seen) == set(range(50))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.05, 40.0), min_size=4, max_size=200), st.floats(1, 200), st.integers(1, 4))
def test_batches_by_seconds_waste_less_than_a_tenth(lengths, seconds, world) -> None:
    for shuffle in (False, True):
        plan = plan_batches(lengths, seconds=seconds, shuffle=shuffle, world_size=world)
        if len(plan) == len(lengths) - len(lengths) % world:
            continue  # single items, of which the shortest were put together to make the steps even
        assert padding_waste(lengths, plan) < 0.1


def test_same_arguments_same_plan_other_epochs_and_seeds_differ() -> None:
    lengths = np.random.default_rng(0).gamma(5, 1, 300)
    plan = plan_batches(lengths, seconds=40, seed=1, epoch=2)
    assert plan == plan_batches(lengths, seconds=40, seed=1, epoch=2)
    assert plan != plan_batches(lengths, seconds=40, seed=1, epoch=3)
    assert plan != plan_batches(lengths, seconds=40, seed=2, epoch=2)
    neighbours = [
        {frozenset(batch) for batch in plan_batches(lengths, seconds=40, seed=1, epoch=e)} for e in (0, 1)
    ]
    assert len(neighbours[0] & neighbours[1]) < len(plan) / 4


def test_size_alone_gives_as_few_batches_as_possible() -> None:
    lengths = np.random.default_rng(0).gamma(5, 1, 160)
    for epoch in range(5):
        plan = plan_batches(lengths, size=16, epoch=epoch)
        assert [len(batch) for batch in plan] == [16] * 10


def test_a_given_number_of_batches_is_made_fuller_or_emptier() -> None:
    lengths = np.random.default_rng(0).gamma(5, 1, 300)
    fewest = len(plan_batches(lengths, seconds=40, shuffle=False))
    for count in (fewest - 8, fewest, fewest + 10):
        for shuffle in (False, True):
            plan = plan_batches(lengths, seconds=40, count=count, shuffle=shuffle)
            assert len(plan) == count
            assert sorted(sum(plan, [])) == list(range(300))


def test_equal_lengths_fill_batches_exactly() -> None:
    plan = plan_batches([2.0] * 40, seconds=20.0, shuffle=False)
    assert [len(batch) for batch in plan] == [10] * 4


def test_steps_of_several_devices_are_alike_in_length() -> None:
    lengths = np.random.default_rng(0).gamma(5, 1, 2000)
    plan = plan_batches(lengths, seconds=60, world_size=4, seed=0)
    cost = np.array([max(lengths[index] for index in batch) for batch in plan]).reshape(-1, 4)
    assert np.median(cost.max(axis=1) / cost.min(axis=1)) < 1.1


def test_an_item_longer_than_the_limit_is_alone() -> None:
    plan = plan_batches([1.0, 1.0, 50.0, 1.0], seconds=10, shuffle=False)
    assert [2] in plan


def test_too_few_items_no_limits_and_bad_lengths_are_errors() -> None:
    with pytest.raises(UserError, match="2 utterances are too few for 3 devices"):
        plan_batches([1.0, 1.0], size=1, world_size=3)
    with pytest.raises(UserError, match="no batch limit"):
        plan_batches([1.0])
    with pytest.raises(UserError, match="too small: seconds None, size 2 for 4 devices"):
        plan_batches([1.0] * 8, size=2, world_size=4, scope="global")
    with pytest.raises(UserError, match="item 1 has no finite length"):
        plan_batches([1.0, float("nan")], size=2)


def test_global_limits_are_shared() -> None:
    together = plan_batches([1.0] * 64, seconds=16, world_size=4, scope="global", shuffle=False)
    assert {len(batch) for batch in together} == {4}


@pytest.mark.parametrize("corpus", ["an4_audio", "librispeech_test100", "kathleen", "ljspeech_subset"])
def test_real_length_distributions_waste_less_than_a_tenth(corpus: str) -> None:
    path = Path(os.environ.get("ESPNET3_CORPORA", "../shared/corpora")) / corpus / "manifest.tsv"
    if not path.exists():
        pytest.skip("the corpora are not on this machine")
    data = Manifest(ManifestConfig(path=str(path.resolve())), sample_rate=None, recipe_dir=Path("/"))
    for seconds in (20, 60, 120):
        for world in (1, 2):
            plan = plan_batches(data.lengths(), seconds=seconds, world_size=world)
            assert padding_waste(data.lengths(), plan) < 0.1


def test_a_long_tailed_corpus_wastes_less_than_a_tenth() -> None:
    """Lengths like those of LibriSpeech train-clean-100: most near 14 s, a tail of short ones."""
    rng = np.random.default_rng(1)
    lengths = np.concatenate([rng.normal(14.5, 1.2, 6000), rng.uniform(1.5, 14, 3000)]).clip(1.4, 24.5)
    plan = plan_batches(lengths, seconds=120)
    assert padding_waste(lengths, plan) < 0.05
    fewest = lengths.sum() / 120
    assert len(plan) < 1.1 * fewest


def test_many_utterances_are_planned_in_seconds() -> None:
    lengths = np.random.default_rng(0).gamma(6, 2, 200_000)
    begun = time.process_time()
    plan = plan_batches(lengths, seconds=400, world_size=8)
    assert time.process_time() - begun < 5
    assert sum(map(len, plan)) == 200_000
