"""Long recordings to pieces that a model takes: cut where it is quietest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

HOP = 0.01
"""Seconds between two measurements of the level."""
WINDOW = 0.3
"""Seconds that a level is averaged over: longer than the closure of a stop, shorter than a pause."""
LEAST = 0.5
"""Seconds that the last piece has at least."""


def cut(speech: NDArray[np.float32], sample_rate: int, most: float) -> list[tuple[int, int]]:
    """Ranges of samples of at most ``most`` seconds that cover a recording without gaps.

    Each cut falls in the middle of the quietest 0.3 s within the second half of what a piece may hold, so
    that pieces are neither tiny nor cut in a word where there is a pause.

    Args:
        speech: Samples, shape (samples,).
        sample_rate: In Hz.
        most: Longest piece in seconds.

    Returns:
        Start and end (exclusive) of each piece, in samples.
    """
    total = len(speech)
    limit = int(most * sample_rate)
    if total <= limit:
        return [(0, total)]
    hop = max(1, int(HOP * sample_rate))
    level = _level(speech, hop, round(WINDOW / HOP))
    least = min(int(LEAST * sample_rate), limit // 4)
    pieces: list[tuple[int, int]] = []
    start = 0
    while total - start > limit:
        first = start + limit // 2
        last = min(start + limit, total - least)
        # Of equally quiet places the last one is taken: fewer pieces.
        window = level[-(-first // hop) : last // hop + 1][::-1]
        quietest = (last // hop - int(window.argmin())) * hop if len(window) else last
        end = min(max(quietest, first), last)
        pieces.append((start, end))
        start = end
    return [*pieces, (start, total)]


def _level(speech: NDArray[np.float32], hop: int, width: int) -> NDArray[np.float64]:
    """Mean square around each multiple of ``hop`` samples, over ``width`` hops."""
    count = -(-len(speech) // hop) + 1
    power = np.zeros(count * hop)
    power[: len(speech)] = np.square(speech, dtype=np.float64)
    sums = np.concatenate([[0.0], np.cumsum(power.reshape(count, hop).sum(1))])
    edges = np.arange(count)
    before, after = np.maximum(edges - width // 2, 0), np.minimum(edges + width - width // 2, count)
    level: NDArray[np.float64] = (sums[after] - sums[before]) / (after - before)
    return level
