"""Conditional flow matching along straight paths: from noise to data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from espnet3_speech.masks import utterance_means
from torch import Tensor

GOLDEN = 0.6180339887498949


def path(noise: Tensor, data: Tensor, time: Tensor, sigma_min: float) -> tuple[Tensor, Tensor]:
    """Where the optimal-transport path from noise to data is at a time, and where to it goes.

    Lipman et al. 2023, equations 22 and 23; Mehta et al. 2024, equation 5: the place is ``(1 - (1 -
    sigma_min) t) noise + t data``, its velocity ``data - (1 - sigma_min) noise`` at every time.

    Args:
        noise: ``(batch, frames, size)``.
        data: ``(batch, frames, size)``.
        time: ``(batch,)`` from 0 to 1.
        sigma_min: What is left of the noise at the end.

    Returns:
        Places and velocities, both ``(batch, frames, size)``.
    """
    t = time[:, None, None]
    return (1 - (1 - sigma_min) * t) * noise + t * data, data - (1 - sigma_min) * noise


def matching_loss(predicted: Tensor, velocity: Tensor, lengths: Tensor) -> Tensor:
    """Mean squared error of velocities ``(batch, frames, size)`` over each utterance, averaged over them."""
    return utterance_means((predicted - velocity).square().mean(-1), lengths).mean()


def spread_times(lengths: Tensor, like: Tensor) -> Tensor:
    """``(batch,)`` times for a loss without chance: multiples of the golden ratio, modulo 1.

    Utterances of all lengths together cover ``[0, 1)`` evenly, and each has the same time in any batch.
    """
    return (lengths.to(torch.float64) * GOLDEN).frac().to(like)


def euler(velocity: Callable[[Tensor, Tensor], Tensor], start: Tensor, steps: int) -> Tensor:
    """Solve ``dx/dt = velocity(x, t)`` from 0 to 1 by Euler's method, in equal steps.

    Args:
        velocity: Of places ``(batch, …)`` at times ``(batch,)``.
        start: ``(batch, …)`` places at time 0.
        steps: How many.

    Returns:
        Places at time 1.
    """
    place = start
    for number in range(steps):
        time = place.new_full((len(place),), number / steps)
        place = place + velocity(place, time) / steps
    return place
