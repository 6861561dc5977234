"""Soft alignment of tokens with frames."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from espnet3_tts.aligners.prior import alignment_mask, beta_binomial_prior

MASKED = -1e4
"""Score of what is in padding."""


class SoftAlignment(NamedTuple):
    """Where each frame's token is.

    Attributes:
        scores: ``(batch, frames, tokens)`` log-posterior over tokens with the prior, masked in padding.
        log_probs: The same, normalised over the tokens.
    """

    scores: Tensor
    log_probs: Tensor


class Aligner(nn.Module):
    """Convolutions over tokens and over frames, whose distance is the score (Badlani et al. 2021, section 3).

    Args:
        token_size: Dimensions of token embeddings.
        n_mels: Mel bands.
        size: Dimensions in which distances are taken.
        temperature: Factor on squared distances.
        prior_scale: Of the beta-binomial prior; 0 uses none.
    """

    def __init__(
        self, *, token_size: int, n_mels: int, size: int, temperature: float, prior_scale: float
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.prior_scale = prior_scale
        self.keys = nn.Sequential(
            nn.Conv1d(token_size, 2 * token_size, 3, padding=1), nn.ReLU(), nn.Conv1d(2 * token_size, size, 1)
        )
        self.queries = nn.Sequential(
            nn.Conv1d(n_mels, 2 * n_mels, 3, padding=1),
            nn.ReLU(),
            nn.Conv1d(2 * n_mels, n_mels, 1),
            nn.ReLU(),
            nn.Conv1d(n_mels, size, 1),
        )

    def forward(self, embedded: Tensor, tokens: Tensor, mel: Tensor, frames: Tensor) -> SoftAlignment:
        """Align a batch; in mixed precision, too, with the precision of the weights.

        Args:
            embedded: ``(batch, tokens, token_size)``, zero in padding.
            tokens: ``(batch,)``.
            mel: ``(batch, frames, n_mels)`` normalised, zero in padding.
            frames: ``(batch,)``.
        """
        # What decides are small differences of large distances, which bfloat16 cannot tell apart.
        precise = next(self.parameters()).dtype
        with torch.autocast(mel.device.type, enabled=False):
            return self._align(embedded.to(precise), tokens, mel.to(precise), frames)

    def _align(self, embedded: Tensor, tokens: Tensor, mel: Tensor, frames: Tensor) -> SoftAlignment:
        keys = self.keys(embedded.transpose(1, 2))
        queries = self.queries(mel.transpose(1, 2)).transpose(1, 2)
        # |q - k|^2 without a tensor of all differences.
        distance = queries.square().sum(2, keepdim=True) + keys.square().sum(1, keepdim=True)
        distance = torch.baddbmm(distance, queries, keys, alpha=-2.0)
        mask = alignment_mask(tokens, frames)
        scores = (-self.temperature * distance).masked_fill(~mask, MASKED)
        if self.prior_scale:
            prior = beta_binomial_prior(tokens, frames, self.prior_scale)
            scores = (scores.log_softmax(-1) + prior).masked_fill(~mask, MASKED)
        return SoftAlignment(scores, scores.log_softmax(-1))
