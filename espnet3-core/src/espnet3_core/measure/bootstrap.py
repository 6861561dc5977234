"""Bootstrap confidence intervals of pooled rates."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
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
