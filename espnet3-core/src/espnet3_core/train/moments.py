"""Mean and standard deviation of feature frames: exact, whichever parts they are collected in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of one kind of feature.

    Attributes:
        mean: float64, (dim,).
        std: float64, (dim,); of the population, so divided by ``count``.
        count: Number of frames.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    count: int


_ROWS = 1024
"""Frames that are summed at a time: few enough for the processor's cache."""

_UNIT = 2**1074
"""Sums are whole numbers of the smallest positive double, of which 1 has so many."""

_LARGEST = 1e140
"""Greater values have squares whose sum could leave the range of doubles."""

Terms = Callable[[NDArray[np.float64]], Sequence[NDArray[np.float64]]]


class Moments:
    """Sums of values and of their squares over frames, exact, for mean and standard deviation.

    No order of frames, and no division among batches, workers or shards changes a bit of the result: it is
    rounded from the exact one, at the end.
    """

    def __init__(self) -> None:
        self.count = 0
        self._sums: list[int] = []
        self._squares: list[int] = []

    def add(self, frames: NDArray[Any]) -> None:
        """Add frames of shape (frames, dim): float32, or float64 of magnitudes from 1e-140 to 1e140 and 0.

        Raises:
            ValueError: A value is larger or not a number.
        """
        if not len(frames):
            return
        largest = float(np.abs(frames).max())
        if not largest <= _LARGEST:
            raise ValueError("a value is not finite")
        self.count += len(frames)
        squares = _split_squares if frames.dtype == np.float64 else _squares
        self._sums = _added(self._sums, *exact_sums(frames, _values, largest))
        self._squares = _added(self._squares, *exact_sums(frames, squares, 4 * largest**2))

    def merge(self, other: Moments) -> None:
        """Add what another one has seen."""
        self.count += other.count
        self._sums = _added(self._sums, other._sums)
        self._squares = _added(self._squares, other._squares)

    def result(self) -> FeatureStatistics:
        """The statistics so far."""
        whole = max(self.count, 1) * _UNIT
        mean = [total / whole for total in self._sums]
        variance = [
            (squares * whole - total * total) / whole**2
            for total, squares in zip(self._sums, self._squares, strict=True)
        ]
        return FeatureStatistics(np.array(mean, np.float64), np.sqrt(variance), self.count)


def exact_sums(frames: NDArray[Any], terms: Terms, bound: float) -> list[list[int]]:
    """Sums over frames, exact, in a few parts.

    From each number the bits above a power of two are taken off. Sums of these fit into a double; with what
    is left it goes on (Rump, Ogita and Oishi, "Accurate floating-point summation, part I", 2008, section 3).

    Args:
        frames: (frames, dim).
        terms: From frames in double precision, at most four arrays to sum.
        bound: No number of these is larger.

    Returns:
        Integers, (parts, dim), in units of 2**-1074.
    """
    parts: dict[int, NDArray[np.float64]] = {0: np.zeros(frames.shape[1])}
    room = len(frames).bit_length() + 3  # bits by which a sum is longer than its numbers
    for start in range(0, len(frames), _ROWS):
        for rest in terms(frames[start : start + _ROWS].astype(np.float64)):
            exponent = math.frexp(bound)[1] + room
            while rest.any():
                upper = rest + 2.0**exponent
                upper -= 2.0**exponent
                parts[exponent] = parts.get(exponent, 0.0) + upper.sum(axis=0)
                rest = rest - upper
                exponent += room - 53
    return [[_whole(value) for value in part.tolist()] for part in parts.values()]


def _values(frames: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    return (frames,)


def _squares(frames: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Exact where the frames were float32."""
    return (np.square(frames),)


def _split_squares(frames: NDArray[np.float64]) -> Sequence[NDArray[np.float64]]:
    """Squares from halves of 26 bits (Dekker, "A floating-point technique", 1971, section 5): each exact."""
    scaled = frames * (2.0**27 + 1)
    upper = scaled - (scaled - frames)
    lower = frames - upper
    return np.square(upper), 2 * upper * lower, np.square(lower)


def _whole(value: float) -> int:
    numerator, denominator = value.as_integer_ratio()
    return numerator * (_UNIT // denominator)


def _added(*vectors: list[int]) -> list[int]:
    return [sum(values) for values in zip(*filter(None, vectors), strict=True)]


def save_statistics(path: Path, statistics: Mapping[str, FeatureStatistics]) -> None:
    """Write statistics as ``.npz``, atomically."""
    arrays: dict[str, Any] = {}
    for name, found in statistics.items():
        arrays |= {
            f"{name}.mean": found.mean,
            f"{name}.std": found.std,
            f"{name}.count": np.int64(found.count),
        }
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    with atomic_open(path, "wb") as stream:
        stream.write(buffer.getvalue())


def read_statistics(path: Path) -> dict[str, FeatureStatistics]:
    """Read what :func:`save_statistics` wrote.

    Raises:
        UserError: The file is broken.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix(".mean") for key in arrays if key.endswith(".mean")]
            return {
                name: FeatureStatistics(
                    arrays[f"{name}.mean"], arrays[f"{name}.std"], int(arrays[f"{name}.count"])
                )
                for name in names
            }
    except Exception as error:
        raise UserError(
            f"{path}: broken: {error}", hint="run stage collect_stats again with --force"
        ) from error
