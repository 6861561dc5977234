"""Statistics against rational numbers, and through the executors' real processes."""

import math
from fractions import Fraction
from functools import partial

import numpy as np
import pytest
from espnet3_core.infer.config import InProcessConfig, ProcessesConfig
from espnet3_core.infer.executors import InProcess, Processes
from espnet3_core.train.moments import Moments
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

SINGLE = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLE = st.floats(-1e140, 1e140).filter(lambda value: not 0 < abs(value) < 1e-140)


def arrays(dtype, elements):
    shapes = st.tuples(st.integers(1, 30), st.integers(1, 2))
    return hnp.arrays(dtype, shapes, elements=elements)


FRAMES = arrays(np.float32, SINGLE) | arrays(np.float64, DOUBLE)


def moments_of(parts):
    moments = Moments()
    for part in parts:
        moments.add(part)
    return moments


def as_bytes(moments):
    found = moments.result()
    return found.mean.tobytes(), found.std.tobytes(), found.count


def exact(frames):
    """Mean and deviation of each column from fractions, each rounded once and the root once more."""
    mean, std = [], []
    for column in frames.T.tolist():
        values = [Fraction(value) for value in column]
        middle = sum(values) / len(values)
        mean.append(float(middle))
        std.append(math.sqrt(float(sum((value - middle) ** 2 for value in values) / len(values))))
    return np.array(mean).tobytes(), np.array(std).tobytes(), len(frames)


@settings(deadline=None)
@given(FRAMES)
def test_statistics_are_the_exact_ones_rounded(frames):
    assert as_bytes(moments_of([frames])) == exact(frames)


@settings(deadline=None)
@given(st.data(), FRAMES)
def test_no_order_and_no_division_changes_a_bit(data, frames):
    order = data.draw(st.permutations(range(len(frames))))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=5)))
    total = Moments()
    for part in np.split(frames[order], cuts):
        total.merge(moments_of([part]))
    assert as_bytes(total) == exact(frames)


def features(count):
    rng = np.random.default_rng(2)
    return (rng.standard_normal((count, 8)) * np.logspace(-6, 6, 8) + 1e3).astype(np.float32)


def test_many_frames_are_summed_exactly_too():
    frames = features(5000)
    assert as_bytes(moments_of([frames])) == as_bytes(moments_of(np.array_split(frames, 7))) == exact(frames)


def part_of(shard):
    return moments_of([features(3000)[list(shard)]])


def set_up():
    return part_of


@pytest.mark.parametrize("shards", [1, 5, 17])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_any_number_of_workers_and_shards_gives_the_same_bytes(workers, shards):
    executor = Processes(ProcessesConfig(workers=workers)) if workers else InProcess(InProcessConfig())
    total = Moments()
    for _, part in executor.run(partial(set_up), [range(start, 3000, shards) for start in range(shards)]):
        total.merge(part)
    assert as_bytes(total) == as_bytes(moments_of([features(3000)]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="not finite"):
        Moments().add(np.full((3, 2), value, np.float32))
