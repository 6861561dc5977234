"""A prior of alignments: near the diagonal."""

from __future__ import annotations

import torch
from espnet3_speech.masks import valid_mask
from torch import Tensor


def beta_binomial_prior(tokens: Tensor, frames: Tensor, scale: float = 1.0) -> Tensor:
    """Log-probability of each token at each frame (Badlani et al. 2021, section 3.2; Shih et al. 2021).

    At frame ``t`` of ``T`` (from 1) the token's index is beta-binomially distributed on ``0 … N - 1`` with
    ``alpha = scale t`` and ``beta = scale (T - t + 1)``.

    Args:
        tokens: ``(batch,)`` number of tokens ``N``.
        frames: ``(batch,)`` number of frames ``T``.
        scale: Larger ones are narrower.

    Returns:
        ``(batch, frames, tokens)`` float32, natural logarithms; meaningless in padding.
    """
    most = tokens.to(torch.float64)[:, None, None] - 1
    t = torch.arange(1, int(frames.max()) + 1, device=tokens.device, dtype=torch.float64)[None, :, None]
    alpha = scale * t
    beta = (scale * (frames[:, None, None] - t + 1)).clamp(min=scale)
    k = torch.arange(int(tokens.max()), device=tokens.device, dtype=torch.float64).minimum(most)

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    choose = torch.lgamma(most + 1) - torch.lgamma(k + 1) - torch.lgamma(most - k + 1)
    return (choose + log_beta(k + alpha, most - k + beta) - log_beta(alpha, beta)).float()


def alignment_mask(tokens: Tensor, frames: Tensor) -> Tensor:
    """``(batch, frames, tokens)`` bool: where both a frame and a token are valid."""
    return valid_mask(frames, int(frames.max())).unsqueeze(2) & valid_mask(
        tokens, int(tokens.max())
    ).unsqueeze(1)
