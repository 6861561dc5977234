"""Bootstrap confidence intervals of pooled rates, and of the difference of two."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espnet3_core.measure.config import IntervalConfig


def pool(entries: Iterable[tuple[Hashable, float, float]]) -> NDArray[np.float64]:
    """Sum (cluster, errors, length) by cluster: ``(clusters, 2)``, in no particular order."""
    sums: dict[Hashable, list[float]] = {}
    for cluster, errors, length in entries:
        total = sums.setdefault(cluster, [0.0, 0.0])
        total[0] += errors
        total[1] += length
    return np.array(list(sums.values()), np.float64).reshape(-1, 2)


def ratio_interval(counts: ArrayLike, config: IntervalConfig) -> tuple[float, float] | None:
    """Percentile interval of sum(errors) / sum(length) when clusters are drawn with replacement.

    Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance evaluation". Equal
    rows are drawn together from a multinomial distribution, which has the law of single draws, costs as much
    as there are different rows, and makes the result independent of the order of utterances.

    Args:
        counts: Errors and length of each cluster, ``(clusters, 2)``.
        config: Resamples, level, seed.

    Returns:
        Lower and upper end; None when nothing has any length.
    """
    table = np.asarray(counts, np.float64).reshape(-1, 2)
    if not len(table) or table[:, 1].sum() <= 0:
        return None
    rows, times = np.unique(table, axis=0, return_counts=True)
    draws = np.random.default_rng(config.seed).multinomial(len(table), times / len(table), config.resamples)
    sums: NDArray[Any] = draws @ rows
    sums = sums[sums[:, 1] > 0]
    tail = (100 - config.level) / 2
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [tail, 100 - tail])
    return float(low), float(high)


_CHUNK = 500
"""Resamples at a time: what is drawn for them is held in memory."""


@dataclass(frozen=True)
class Difference:
    """The second rate less the first.

    Attributes:
        value: On the whole test set.
        interval: Lower and upper end.
        p_value: Two-sided: twice the smaller share of resamples in which the second rate is not above, or not
            below, the first.
    """

    value: float
    interval: tuple[float, float]
    p_value: float


def paired_difference(counts: ArrayLike, config: IntervalConfig) -> Difference | None:
    """Percentile interval of the difference of two rates over the same clusters, drawn with replacement.

    The same draws serve both systems, so that what makes a cluster hard for both cancels (Bisani and Ney
    2004, section 4, "bootstrap estimate of the probability of improvement").

    Args:
        counts: Errors and length of each cluster in the first system, then in the second, ``(clusters, 4)``.
        config: Resamples, level, seed.

    Returns:
        None when one of the systems has no length.
    """
    table = np.asarray(counts, np.float64).reshape(-1, 4)
    total = table.sum(0)
    if not len(table) or total[1] <= 0 or total[3] <= 0:
        return None
    rows, times = np.unique(table, axis=0, return_counts=True)
    generator = np.random.default_rng(config.seed)
    found = []
    for start in range(0, config.resamples, _CHUNK):
        size = min(_CHUNK, config.resamples - start)
        sums = generator.multinomial(len(table), times / len(table), size) @ rows
        sums = sums[(sums[:, 1] > 0) & (sums[:, 3] > 0)]
        found.append(sums[:, 2] / sums[:, 3] - sums[:, 0] / sums[:, 1])
    drawn: NDArray[np.float64] = np.concatenate(found)
    tail = (100 - config.level) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    # The test set itself counts as one of the draws: no finite number of them makes a p-value of zero.
    rarer = min(np.count_nonzero(drawn <= 0), np.count_nonzero(drawn >= 0)) + 1
    value = total[2] / total[3] - total[0] / total[1]
    return Difference(float(value), (float(low), float(high)), min(1.0, 2 * float(rarer) / (len(drawn) + 1)))
