"""Mean and standard deviation of feature frames, from parts that can be merged."""

from __future__ import annotations

from collections.abc import Mapping
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


class Moments:
    """Running mean and sum of squared deviations in float64.

    Parts are merged by the formula of Chan, Golub and LeVeque ("Updating formulae and a pairwise algorithm
    for computing sample variances", 1979, equation 2.1), which does not cancel when the mean is large.
    """

    def __init__(self) -> None:
        self.count = 0
        self.mean: NDArray[np.float64] = np.zeros(0)
        self.squares: NDArray[np.float64] = np.zeros(0)

    def add(self, frames: NDArray[Any]) -> None:
        """Add frames of shape (frames, dim)."""
        values = np.asarray(frames, np.float64)
        if not len(values):
            return
        mean = values.mean(axis=0)
        self.merge(len(values), mean, np.square(values - mean).sum(axis=0))

    def merge(self, count: int, mean: NDArray[np.float64], squares: NDArray[np.float64]) -> None:
        """Add a part: its number of frames, mean, and sum of squared deviations from it."""
        if self.count == 0:
            self.count, self.mean, self.squares = count, mean.copy(), squares.copy()
            return
        total = self.count + count
        shift = mean - self.mean
        self.squares = self.squares + squares + np.square(shift) * (self.count * count / total)
        self.mean = self.mean + shift * (count / total)
        self.count = total

    def result(self) -> FeatureStatistics:
        """The statistics so far."""
        return FeatureStatistics(self.mean, np.sqrt(self.squares / max(self.count, 1)), self.count)


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
