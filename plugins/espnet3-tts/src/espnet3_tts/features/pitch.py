"""Fundamental frequency by YIN (de Cheveigné and Kawahara 2002, steps 1 to 5), of many frames at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

QUIET = 1e-2
"""Frames below this share of the utterance's loudest frame (root mean square) are unvoiced."""
SMOOTHED = 5
"""Frames of the median filter, which takes single octave errors and single voiced frames out."""


def normalised_difference(frames: Tensor, window: int) -> Tensor:
    """YIN's cumulative mean normalised difference function.

    Args:
        frames: ``(…, window + lags)`` samples.
        window: Samples that are compared with later ones.

    Returns:
        ``(…, lags + 1)`` for lags from 0 on; 1 at lag 0, near 0 at a period, 1 throughout digital silence.
    """
    lags = frames.shape[-1] - window
    size = 1 << (frames.shape[-1] - 1).bit_length()
    head = torch.fft.rfft(frames[..., :window], n=size)
    product = torch.fft.irfft(head.conj() * torch.fft.rfft(frames, n=size), n=size)[..., : lags + 1]
    squares = functional.pad(frames.square().cumsum(-1), (1, 0))
    power = squares[..., window : window + lags + 1] - squares[..., : lags + 1]
    difference = (power[..., :1] + power - 2 * product).clamp(min=0)  # equations 6 and 7
    steps = torch.arange(1, lags + 1, device=frames.device, dtype=frames.dtype)
    total = difference[..., 1:].cumsum(-1)
    normal = torch.where(total > 0, difference[..., 1:] * steps / total.clamp(min=1e-20), 1.0)  # equation 8
    return functional.pad(normal, (1, 0), value=1.0)


def period(difference: Tensor, shortest: int, threshold: float) -> tuple[Tensor, Tensor]:
    """The first dip below the threshold (step 4), its place refined by a parabola (step 5).

    Args:
        difference: ``(…, lags + 1)`` from :func:`normalised_difference`.
        shortest: Smallest lag that counts.
        threshold: Aperiodicity below which a frame is periodic.

    Returns:
        ``(…)`` periods in samples, and ``(…)`` bool, whether there is a dip at all.
    """
    before, here, after = difference[..., :-2], difference[..., 1:-1], difference[..., 2:]
    dip = (here < threshold) & (here <= after) & (here < before)
    dip[..., : shortest - 1] = False
    place = dip.int().argmax(-1, keepdim=True)
    left, middle, right = (part.gather(-1, place).squeeze(-1) for part in (before, here, after))
    curvature = left - 2 * middle + right
    shift = torch.where(curvature > 0, 0.5 * (left - right) / curvature.clamp(min=1e-12), 0.0)
    return place.squeeze(-1) + 1 + shift.clamp(-1, 1), dip.any(-1)


def smoothed(f0: Tensor) -> Tensor:
    """Median over ``SMOOTHED`` frames of ``(batch, frames)``, in which 0 stands for unvoiced."""
    half = SMOOTHED // 2
    return functional.pad(f0, (half, half)).unfold(1, SMOOTHED, 1).median(-1).values
