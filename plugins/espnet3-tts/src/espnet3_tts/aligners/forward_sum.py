"""Losses of a learned alignment."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from espnet3_tts.aligners.durations import owners

BLANK_LOG_PROB = -1.0
"""Score of CTC's blank before normalisation, as in Badlani et al. 2021."""


def forward_sum_loss(scores: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Negative log-likelihood of all monotonic alignments together, computed as CTC of the token positions.

    Badlani et al. 2021 ("One TTS alignment to rule them all"), section 3.1: the target is ``1 … N``, and a
    blank of constant score may stand between tokens. Divided by the number of tokens, then averaged over
    utterances.

    Args:
        scores: ``(batch, frames, tokens)`` log-probabilities or scores, masked with very low values in
            padding.
        tokens: ``(batch,)``.
        frames: ``(batch,)``.
    """
    padded = functional.pad(scores, (1, 0), value=BLANK_LOG_PROB).log_softmax(-1)
    target = torch.arange(1, scores.shape[2] + 1, device=scores.device).expand(len(scores), -1)
    return functional.ctc_loss(
        padded.transpose(0, 1), target, frames, tokens, blank=0, reduction="mean", zero_infinity=True
    )


def binarization_loss(log_probs: Tensor, durations: Tensor) -> Tensor:
    """Mean negative log-probability of the hard alignment's path (Badlani et al. 2021, equation 8).

    Args:
        log_probs: ``(batch, frames, tokens)``.
        durations: ``(batch, tokens)``.
    """
    total = durations.sum()
    token = owners(durations, log_probs.shape[1])
    picked = log_probs.gather(2, token.clamp(min=0).unsqueeze(2)).squeeze(2)
    return -torch.where(token >= 0, picked.clamp(min=-1e4), 0.0).sum() / total.clamp(min=1)
