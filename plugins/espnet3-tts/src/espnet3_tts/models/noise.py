"""Noise that an utterance gets whatever batch it is in."""

from __future__ import annotations

import torch
from torch import Tensor

STILL = 0
"""Seed of noise outside of training, where a loss shall not depend on chance."""


def utterance_noise(lengths: Tensor, channels: int, like: Tensor, seed: int | None) -> Tensor:
    """Standard normal noise of utterances.

    Args:
        lengths: ``(batch,)`` places of each.
        channels: Of the noise.
        like: Gives type and device.
        seed: Each utterance draws by itself, beginning with it; None draws from torch's own generator.

    Returns:
        ``(batch, most places, channels)``; with a seed zero in padding.
    """
    shape = (len(lengths), int(lengths.max()), channels)
    if seed is None:
        return torch.randn(shape, dtype=like.dtype, device=like.device)
    noise = torch.zeros(shape)
    for row, count in enumerate(lengths.tolist()):
        generator = torch.Generator().manual_seed(seed)
        noise[row, :count] = torch.randn((count, channels), generator=generator)
    return noise.to(like)
