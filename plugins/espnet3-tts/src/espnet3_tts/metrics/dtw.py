"""Dynamic time warping, one diagonal at a time."""

from __future__ import annotations

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
