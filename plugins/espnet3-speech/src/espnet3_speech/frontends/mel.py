"""Mel filter banks as matrices."""

from __future__ import annotations

import numpy as np
from espnet3_core.errors import UserError
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
_LINEAR_STEP = 200.0 / 3.0
_BREAK_HZ = 1000.0
_LOG_STEP = np.log(6.4) / 27.0


def hz_to_slaney(hz: Matrix) -> Matrix:
    """Mel scale of Slaney's Auditory Toolbox (1998): linear below 1 kHz, logarithmic above."""
    hz = np.asarray(hz, dtype=np.float64)
    above = _BREAK_HZ / _LINEAR_STEP + np.log(np.maximum(hz, _BREAK_HZ) / _BREAK_HZ) / _LOG_STEP
    return np.where(hz < _BREAK_HZ, hz / _LINEAR_STEP, above)


def slaney_to_hz(mel: Matrix) -> Matrix:
    """Inverse of :func:`hz_to_slaney`."""
    mel = np.asarray(mel, dtype=np.float64)
    knee = _BREAK_HZ / _LINEAR_STEP
    return np.where(mel < knee, mel * _LINEAR_STEP, _BREAK_HZ * np.exp(_LOG_STEP * (mel - knee)))


def check_band(fmin: float, fmax: float, sample_rate: int) -> None:
    """Raise UserError unless ``0 <= fmin < fmax <= sample_rate / 2``."""
    if not 0 <= fmin < fmax <= sample_rate / 2:
        raise UserError(
            f"frontend: mel bands from {fmin:g} to {fmax:g} Hz do not fit audio of {sample_rate} Hz",
            hint=f"choose 0 <= fmin < fmax <= {sample_rate / 2:g}",
        )


def slaney_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Matrix:
    """Triangles in Hz between points equally spaced in mel, each of area 1 (Slaney 1998).

    Returns:
        ``(n_fft // 2 + 1, n_mels)`` weights of power-spectrum bins.
    """
    check_band(fmin, fmax, sample_rate)
    bins = np.linspace(0.0, sample_rate / 2, n_fft // 2 + 1)[:, None]
    edges = slaney_to_hz(np.linspace(*hz_to_slaney(np.array([fmin, fmax])), n_mels + 2))
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
    return np.maximum(triangles, 0.0) * 2.0 / (right - left)


def hz_to_kaldi(hz: Matrix) -> Matrix:
    """Mel scale of HTK and Kaldi: ``1127 ln(1 + f / 700)`` (HTK Book, eq. 5.13)."""
    return 1127.0 * np.log1p(np.asarray(hz, dtype=np.float64) / 700.0)


def kaldi_filters(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Matrix:
    """Triangles in mel of height 1; the bin at half of the sample rate takes no part.

    Returns:
        ``(n_fft // 2 + 1, n_mels)`` weights of spectrum bins.
    """
    check_band(fmin, fmax, sample_rate)
    bins = hz_to_kaldi(np.arange(n_fft // 2 + 1) * sample_rate / n_fft)[:, None]
    edges = np.linspace(*hz_to_kaldi(np.array([fmin, fmax])), n_mels + 2)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    weights = np.maximum(np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)), 0.0)
    weights[-1] = 0.0
    return weights
