"""Losses of a learned alignment."""

from __future__ import annotations

import torch
from espnet3_speech.layers.exporting import exporting
from torch import Tensor
from torch.nn import functional

BLANK_LOG_PROB = -1.0
"""Score of CTC's blank before normalisation, as in Badlani et al. 2021."""

_NEVER = -1e9


def forward_sum_loss(scores: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Negative log-likelihood of all monotonic alignments together, computed as CTC of the token positions.

    Badlani et al. 2021 ("One TTS alignment to rule them all"), section 3.1: the target is ``1 … N``, and a
    blank of constant score may stand between tokens. Divided by the number of tokens, then averaged over
    utterances.

    Args:
        scores: ``(batch, frames, tokens)`` log-probabilities or scores, masked with very low values in
        padding. tokens: ``(batch,)``.
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


def posteriors(log_probs: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Probability of each token at each frame, given that the alignment is monotonic and leaves no token out.

    The forward-backward algorithm, whose result is the gradient of the logarithm of the sum over alignments.

    Args:
        log_probs: ``(batch, frames, tokens)``.
        tokens: ``(batch,)``.
        frames: ``(batch,)``, none smaller than its number of tokens.

    Returns:
        ``(batch, frames, tokens)`` float64, zero in padding.
    """
    with torch.inference_mode(False), torch.enable_grad():
        scores = log_probs.double().clone().requires_grad_()
        first = torch.full_like(scores[:, 0], _NEVER)
        first[:, 0] = 0.0
        sums = [first + scores[:, 0]]
        for t in range(1, scores.shape[1]):
            moved = functional.pad(sums[-1], (1, -1), value=_NEVER)
            sums.append(torch.logaddexp(sums[-1], moved) + scores[:, t])
        rows = torch.arange(len(scores), device=scores.device)
        total = torch.stack(sums, 1)[rows, frames - 1, tokens - 1].sum()
        return torch.autograd.grad(total, scores)[0]


def owners(durations: Tensor, frames: int) -> Tensor:
    """``(batch, tokens)`` durations to the token of each frame, ``(batch, frames)``; -1 beyond the last."""
    ends = durations.cumsum(1)
    position = torch.arange(frames, device=durations.device).expand(len(durations), -1).contiguous()
    if exporting():  # The same without a search, which other programs do not have.
        token = (position.unsqueeze(2) >= ends.unsqueeze(1)).sum(2)
    else:
        token = torch.searchsorted(ends, position, right=True)
    return token.masked_fill(position >= ends[:, -1:], -1)
