"""Dynamic time warping, one diagonal at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Path = NDArray[np.int64]


def warp(distances: NDArray[np.float64]) -> Path:
    """The cheapest path through a matrix of distances, from its first corner to its last.

    Steps: one frame further in the first, the second, or both (Sakoe and Chiba 1978, symmetric form without
    slope constraint, each cell counted once).

    Args:
        distances: ``(first, second)``; neither is 0.

    Returns:
        ``(steps, 2)`` pairs of frames.
    """
    first, second = distances.shape
    # Row d of the table is the d-th anti-diagonal, indexed by the first frame: all its cells are independent.
    total = np.full((first + second - 1, first + 1), np.inf)
    total[0, 1] = distances[0, 0]
    for d in range(1, first + second - 1):
        low, high = max(0, d - second + 1), min(first, d + 1)
        rows = np.arange(low, high)
        best = np.minimum(total[d - 1, rows], total[d - 1, rows + 1])
        if d > 1:
            best = np.minimum(best, total[d - 2, rows])
        total[d, rows + 1] = best + distances[rows, d - rows]
    return _traced(total, first, second)


def mean_costs(distances: NDArray[np.floating[Any]], seconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean distances along the cheapest paths of many matrices, without the paths.

    Args:
        distances: ``(batch, first, longest second)``; what is beyond a matrix's second size does not count.
        seconds: ``(batch,)`` second sizes.

    Returns:
        ``(batch,)`` means over the cells of the paths that :func:`warp` would find.
    """
    batch, first, longest = distances.shape
    means = np.empty(batch)
    # Of the last two anti-diagonals: cheapest totals, and how many cells they are of.
    before, last = (np.full((2, batch, first + 1), np.inf) for _ in range(2))
    before[:, :, 0] = 0.0  # so that the path begins in the first cell
    for d in range(first + longest - 1):
        rows = slice(max(0, d - longest + 1), min(first, d + 1))
        above = slice(rows.start + 1, rows.stop + 1)
        best, cells = before[:, :, rows]
        for total, count in (last[:, :, rows], last[:, :, above]):
            nearer = total < best
            best, cells = np.where(nearer, total, best), np.where(nearer, count, cells)
        now = np.full((2, batch, first + 1), np.inf)
        places = np.arange(rows.start, rows.stop)
        now[0, :, above] = best + distances[:, places, d - places]
        now[1, :, above] = cells + 1
        ended = seconds == d - first + 2
        means[ended] = now[0, ended, first] / now[1, ended, first]
        before, last = last, now
    return means


def _traced(total: NDArray[np.float64], first: int, second: int) -> Path:
    i, j = first - 1, second - 1
    steps = [(i, j)]
    while i or j:
        d = i + j
        options = (
            (total[d - 2, i] if i and j else np.inf, i - 1, j - 1),
            (total[d - 1, i] if i else np.inf, i - 1, j),
            (total[d - 1, i + 1] if j else np.inf, i, j - 1),
        )
        _, i, j = min(options, key=lambda option: option[0])
        steps.append((i, j))
    return np.array(steps[::-1], np.int64)
