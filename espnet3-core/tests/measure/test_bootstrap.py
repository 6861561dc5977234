"""The paired bootstrap against scipy's, and against single draws in a loop."""

from __future__ import annotations

import numpy as np
import pytest
from espnet3_core.measure.bootstrap import paired_difference
from espnet3_core.measure.config import IntervalConfig
from scipy import stats


def two_systems(seed: int, clusters: int = 60) -> np.ndarray:
    """Errors and lengths of a system and of a slightly better one; hard clusters are hard for both."""
    rng = np.random.default_rng(seed)
    length = rng.integers(3, 30, clusters)
    hardness = rng.beta(1, 6, clusters)
    first, second = rng.binomial(length, hardness), rng.binomial(length, 0.85 * hardness)
    return np.stack([first, length, second, length], 1)


def difference(first: np.ndarray, n: np.ndarray, second: np.ndarray, m: np.ndarray, axis: int = -1) -> float:
    return second.sum(axis) / m.sum(axis) - first.sum(axis) / n.sum(axis)


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_agrees_with_scipy(seed: int) -> None:
    table = two_systems(seed)
    config = IntervalConfig(resamples=20_000, level=90)
    found = paired_difference(table, config)
    assert found is not None
    expected = stats.bootstrap(
        [*table.T], difference, n_resamples=20_000, paired=True, vectorized=True, method="percentile",
        confidence_level=0.9, rng=np.random.default_rng(seed + 10),
    )  # fmt: skip
    assert found.value == pytest.approx(difference(*table.T))
    # Two Monte Carlo estimates of the same quantiles: within a few of their standard errors.
    bar = 0.05 * expected.standard_error
    assert found.interval == pytest.approx(tuple(expected.confidence_interval), abs=bar)


def test_the_p_value_agrees_with_single_draws() -> None:
    table = two_systems(4)
    rng = np.random.default_rng(0)
    draws = [difference(*table[rng.integers(0, len(table), len(table))].T) for _ in range(20_000)]
    expected = 2 * min(np.mean(np.array(draws) <= 0), np.mean(np.array(draws) >= 0))
    found = paired_difference(table, IntervalConfig(resamples=20_000))
    assert found is not None
    assert 0.001 < expected < 0.9
    assert found.p_value == pytest.approx(expected, abs=0.01)


def test_pairing_takes_out_what_both_find_hard() -> None:
    """The same systems with the second one's clusters shuffled: nothing but the pairing is lost."""
    table = two_systems(1, clusters=300)
    shuffled = table.copy()
    shuffled[:, 2:] = table[np.random.default_rng(0).permutation(len(table)), 2:]
    paired, loose = (paired_difference(t, IntervalConfig()) for t in (table, shuffled))
    assert paired is not None and loose is not None
    assert paired.value == loose.value
    widths = [found.interval[1] - found.interval[0] for found in (paired, loose)]
    assert widths[0] < 0.8 * widths[1]


def test_equal_systems_and_nothing_at_all() -> None:
    table = two_systems(2)
    table[:, 2:] = table[:, :2]
    found = paired_difference(table, IntervalConfig())
    assert found is not None
    assert (found.value, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)
    assert paired_difference(np.zeros((0, 4)), IntervalConfig()) is None
    assert paired_difference([[1, 0, 0, 3]], IntervalConfig()) is None


def test_the_order_of_clusters_does_not_matter() -> None:
    table = two_systems(3)
    assert paired_difference(table, IntervalConfig()) == paired_difference(table[::-1], IntervalConfig())
