"""How likely frames are, given tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def log_likelihoods(latent: Tensor, mean: Tensor, log_std: Tensor | None = None) -> Tensor:
    """Log-density of each frame under each token's normal distribution.

    Kim et al. 2020 ("Glow-TTS"), equation 2; Kim et al. 2021 ("VITS"), equation 5.

    Args:
        latent: ``(batch, frames, channels)``: spectrogram or latent.
        mean: ``(batch, tokens, channels)``.
        log_std: ``(batch, tokens, channels)`` logarithms of deviations; None for a deviation of 1.

    Returns:
        ``(batch, frames, tokens)`` natural logarithms, at least in float32.
    """
    with torch.autocast(latent.device.type, enabled=False):
        wide = torch.promote_types(latent.dtype, torch.float32)
        latent, mean = latent.to(wide), mean.to(wide)
        log_std = torch.zeros_like(mean) if log_std is None else log_std.to(wide)
        precision = (-2 * log_std).exp()
        # The square of the difference, multiplied out: no tensor has frames, tokens and channels.
        distance = latent.square() @ precision.transpose(1, 2)
        distance = distance - 2 * latent @ (mean * precision).transpose(1, 2)
        own = (mean.square() * precision + 2 * log_std + math.log(2 * math.pi)).sum(2).unsqueeze(1)
        return -0.5 * (distance + own)
