"""Mel cepstra and their distortion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from espnet3_tts.metrics.dtw import Path

Array = NDArray[np.float64]
SCALE = 10.0 / np.log(10.0) * np.sqrt(2.0)
"""Euclidean distance of cepstra to decibels (Kubichek 1993, equation 1)."""


def mel_cepstrum(log_mel: Array, coefficients: int) -> Array:
    """Cepstral coefficients 1 to ``coefficients`` of log-mel magnitudes.

    ``c[k] = (1 / M) sum over m of L[m] cos(pi k (m + 1/2) / M)``, so that ``L[m] = c[0] + 2 sum over k of
    c[k] cos(…)``: the scale in which distortion is measured, on the mel axis.

    Args:
        log_mel: ``(frames, M)`` natural logarithms of magnitudes.
        coefficients: How many.

    Returns:
        ``(frames, coefficients)``.
    """
    bands = log_mel.shape[1]
    order = np.arange(1, coefficients + 1)[None, :]
    basis = np.cos(np.pi * order * (np.arange(bands)[:, None] + 0.5) / bands) / bands
    product: Array = log_mel @ basis
    return product


def pair_distances(first: Array, second: Array) -> Array:
    """``(frames, other frames)`` Euclidean distances of rows."""
    squares = (first**2).sum(1)[:, None] + (second**2).sum(1)[None, :] - 2 * first @ second.T
    return np.sqrt(np.maximum(squares, 0.0))


def distortion(distances: Array, path: Path) -> float:
    """Mel-cepstral distortion in dB: the mean over the pairs of a path."""
    return float(SCALE * distances[path[:, 0], path[:, 1]].mean())
