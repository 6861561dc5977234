"""CTC loss of log-probabilities, and straight from logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from espnet3_speech.masks import valid_mask

ROWS = 256
"""Frames whose logits are worked on at once on the CPU: few enough to stay in its cache."""


def ctc_loss(log_probs: Tensor, lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
    """CTC loss of ``(batch, frames, vocab_size)`` log-probabilities, summed and divided by the batch size."""
    with torch.autocast(log_probs.device.type, enabled=False):
        losses = _losses(log_probs, text.clamp(min=0), lengths, text_lengths)
    return losses.sum() / max(len(text), 1)


def ctc_loss_of_logits(logits: Tensor, lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
    """:func:`ctc_loss` of ``logits.log_softmax(-1)``, in fewer passes over the vocabulary.

    The loss depends on the log-probabilities of the blank and of the text's own tokens only, and its gradient
    with respect to logits is the softmax less what those few are expected to occur (Graves et al. 2006,
    equation 16). So log-probabilities of other tokens are never written down.

    Args:
        logits: ``(batch, frames, vocab_size)``.
        lengths: ``(batch,)`` valid frames.
        text: ``(batch, tokens)`` ids, padded with anything.
        text_lengths: ``(batch,)``.
    """
    with torch.autocast(logits.device.type, enabled=False):
        wide = logits if logits.dtype == torch.float64 else logits.float()
        differentiated = torch.is_grad_enabled() and logits.requires_grad
        if not differentiated or torch.compiler.is_compiling() or 2 * text.shape[1] >= logits.shape[2]:
            return ctc_loss(wide.log_softmax(-1), lengths, text, text_lengths)
        losses: Tensor = _LogitsLosses.apply(wide, lengths, text.clamp(min=0), text_lengths)
        return losses.sum() / max(len(text), 1)


def _losses(log_probs: Tensor, text: Tensor, lengths: Tensor, text_lengths: Tensor) -> Tensor:
    """``(batch,)`` losses; zero where the frames do not suffice for the text."""
    return functional.ctc_loss(
        log_probs.transpose(0, 1), text, lengths, text_lengths, reduction="none", zero_infinity=True
    )


class _LogitsLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
        total = torch.cat([rows.logsumexp(-1) for rows in pieces(logits)]).view(logits.shape[:2])
        # A small vocabulary of each utterance's own: the blank, then its tokens by place of first occurrence.
        tokens = functional.pad(text, (1, 0))
        places = torch.arange(tokens.shape[1], device=text.device)
        equal = tokens.unsqueeze(2) == tokens.unsqueeze(1)
        own = torch.where(equal, places, tokens.shape[1]).amin(2)[:, 1:]
        columns = tokens.unsqueeze(1).expand(-1, logits.shape[1], -1)
        with torch.enable_grad():
            log_probs = (logits.detach().gather(2, columns) - total.unsqueeze(2)).requires_grad_()
            losses = _losses(log_probs, own, lengths, text_lengths)
            (slopes,) = torch.autograd.grad(losses.sum(), log_probs)
        # What torch calls the gradient of log-probabilities has the softmax in it already.
        expected = log_probs.detach().exp() - slopes
        counted = valid_mask(lengths, logits.shape[1]) & (losses > 0).unsqueeze(1)
        ctx.save_for_backward(logits, total, columns, expected, counted)
        return losses.detach()

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        logits, total, columns, expected, counted = ctx.saved_tensors
        weights = (grad.unsqueeze(1) * counted).unsqueeze(2)
        found = torch.empty_like(logits)
        parts = zip(*(pieces(values) for values in (logits, total.unsqueeze(2), weights, found)), strict=True)
        for rows, totals, weight, out in parts:
            torch.sub(rows, totals, out=out).exp_().mul_(weight)
        return found.scatter_add_(2, columns, expected.mul(weights).neg_()), None, None, None


def pieces(values: Tensor) -> tuple[Tensor, ...]:
    """``(batch, frames, size)`` as ``(rows, size)``, on the CPU in pieces that stay in the cache."""
    rows = values.flatten(0, 1)
    return rows.split(ROWS if rows.device.type == "cpu" else max(1, len(rows)))
