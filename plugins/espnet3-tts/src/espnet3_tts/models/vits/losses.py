"""Likelihood of latents, and how far the latent of speech is from that of text."""

from __future__ import annotations

import math

import torch
from espnet3_speech.masks import valid_mask
from torch import Tensor


@torch.no_grad()
def log_likelihoods(latent: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-density of each frame's latent under each token's normal distribution (Kim et al. 2021, eq. 5).

    Args:
        latent: ``(batch, frames, channels)``.
        mean: ``(batch, tokens, channels)``.
        log_std: ``(batch, tokens, channels)``.

    Returns:
        ``(batch, frames, tokens)`` natural logarithms, at least in float32.
    """
    with torch.autocast(latent.device.type, enabled=False):
        wide = torch.promote_types(latent.dtype, torch.float32)
        latent, mean, log_std = latent.to(wide), mean.to(wide), log_std.to(wide)
        precision = (-2 * log_std).exp()
        # The square of the difference, multiplied out: no tensor has frames, tokens and channels.
        distance = latent.square() @ precision.transpose(1, 2)
        distance = distance - 2 * latent @ (mean * precision).transpose(1, 2)
        own = (mean.square() * precision + 2 * log_std + math.log(2 * math.pi)).sum(2).unsqueeze(1)
        return -0.5 * (distance + own)


def divergence(
    latent: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor, lengths: Tensor
) -> Tensor:
    """Kullback-Leibler divergence of posterior from prior, in nats per frame (Kim et al. 2021, equation 3).

    The posterior's own term is its expectation, the prior's is that of the latent that was drawn: the mean
    over draws is the divergence. The flow preserves volume and so adds nothing.

    Args:
        latent: ``(batch, frames, channels)`` drawn from the posterior and brought to the text by the flow.
        log_std: ``(batch, frames, channels)`` of the posterior, before the flow.
        prior_mean: ``(batch, frames, channels)`` of each frame's token.
        prior_log_std: ``(batch, frames, channels)``.
        lengths: ``(batch,)`` frames.

    Returns:
        ``(batch,)``.
    """
    squares = (latent - prior_mean).square() * (-2 * prior_log_std).exp()
    terms = prior_log_std - log_std - 0.5 + 0.5 * squares
    return (terms.sum(2) * valid_mask(lengths, latent.shape[1])).sum(1) / lengths
