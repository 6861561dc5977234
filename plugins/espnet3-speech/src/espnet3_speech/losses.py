"""Losses of sequence models: CTC, and cross entropy with label smoothing."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.config import CTCConfig
from espnet3_speech.layers.ctc_loss import ctc_loss_of_logits, pieces
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.linear import Linear
from espnet3_speech.masks import valid_mask

IGNORED = -1
"""Padding of token ids in a batch."""


class CTC(nn.Module):
    """Output layer over tokens and CTC loss (Graves et al. 2006, section 4); token 0 is the blank.

    Args:
        config: Options; None for the defaults.
        vocab_size: Number of tokens, blank included.
        input_size: Dimensions of hidden vectors.
    """

    def __init__(self, config: CTCConfig | None = None, *, vocab_size: int, input_size: int) -> None:
        super().__init__()
        self.dropout = Dropout((config or CTCConfig()).dropout)
        self.out = Linear(input_size, vocab_size)

    def logits(self, hidden: Tensor) -> Tensor:
        """``(batch, frames, size)`` to ``(batch, frames, vocab)`` scores before normalization."""
        scores: Tensor = self.out(self.dropout(hidden))
        return scores

    def log_probs(self, hidden: Tensor) -> Tensor:
        """``(batch, frames, size)`` to ``(batch, frames, vocab)`` log-probabilities in float32 or more."""
        logits = self.logits(hidden)
        return logits.log_softmax(-1, dtype=None if logits.dtype == torch.float64 else torch.float32)

    @torch.no_grad()
    def best_path(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and id of the best token of each frame, both ``(batch, frames)``.

        The same as ``log_probs(hidden).max(-1)``, without those of all other tokens ever being in memory.
        """
        found = [_best(self.out(rows)) for rows in pieces(self.dropout(hidden))]
        scores, tokens = (torch.cat(values) for values in zip(*found, strict=True))
        return scores.view(hidden.shape[:2]), tokens.view(hidden.shape[:2])

    def forward(self, hidden: Tensor) -> Tensor:
        """Same as :meth:`log_probs`."""
        return self.log_probs(hidden)

    def loss(self, hidden: Tensor, lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
        """Negative log-likelihood, summed over the batch and divided by its size.

        Utterances with too few frames for their text count as zero; :meth:`impossible` tells how many.

        Args:
            hidden: ``(batch, frames, size)``.
            lengths: ``(batch,)`` valid frames.
            text: ``(batch, tokens)`` ids, padded with anything.
            text_lengths: ``(batch,)`` tokens.
        """
        return ctc_loss_of_logits(self.logits(hidden), lengths, text, text_lengths)

    @staticmethod
    def impossible(lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
        """Number of utterances without alignment, which takes a frame per token and one between equals."""
        return too_short(lengths, text, text_lengths).sum()


def _best(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probability and index of the largest of ``(rows, vocab)`` logits, which are overwritten."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    largest, tokens = logits.max(-1)
    others = logits.sub_(largest.unsqueeze(-1)).exp_().sum(-1)
    return -others.log(), tokens


def too_short(lengths: Tensor, text: Tensor, text_lengths: Tensor) -> Tensor:
    """``(batch,)`` bool: whether an utterance has fewer frames than its text needs."""
    valid = valid_mask(text_lengths, text.shape[1])
    repeats = ((text[:, 1:] == text[:, :-1]) & valid[:, 1:]).sum(1)
    return lengths < text_lengths + repeats


class LabelSmoothingLoss(nn.Module):
    """Divergence of predictions from smoothed labels (Szegedy et al. 2016, section 7).

    A label gets ``1 - smoothing``, all other tokens share the rest evenly. The labels' own entropy is taken
    off, so that a perfect prediction has loss zero.

    Args:
        smoothing: Share of the other tokens, in [0, 1).
        normalize: Divide the sum by the number of utterances (``batch``) or of tokens (``tokens``).
        ignored: Label that does not count.
    """

    def __init__(
        self, smoothing: float = 0.1, normalize: Literal["batch", "tokens"] = "batch", ignored: int = IGNORED
    ) -> None:
        super().__init__()
        self.smoothing = smoothing
        self.normalize = normalize
        self.ignored = ignored

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Loss of ``(batch, tokens, vocab_size)`` logits against ``(batch, tokens)`` labels, a scalar."""
        size = logits.shape[-1]
        with torch.autocast(logits.device.type, enabled=False):
            logits = logits if logits.dtype == torch.float64 else logits.float()
            # Torch spreads its share over all tokens, the label included; ours over the other ones.
            share = self.smoothing * size / (size - 1)
            total = functional.cross_entropy(
                logits.flatten(0, -2),
                labels.flatten(),
                ignore_index=self.ignored,
                reduction="sum",
                label_smoothing=share,
            )
            count = (labels != self.ignored).sum()
            total = total - count.to(total.dtype) * _entropy(self.smoothing, size)
            return total / (labels.shape[0] if self.normalize == "batch" else count.clamp(min=1))


def _entropy(smoothing: float, size: int) -> float:
    if smoothing == 0:
        return 0.0
    return -(1 - smoothing) * math.log(1 - smoothing) - smoothing * math.log(smoothing / (size - 1))


def token_accuracy(logits: Tensor, labels: Tensor, ignored: int = IGNORED) -> Tensor:
    """Share of labels whose logit is the largest: ``(batch, tokens, vocab)`` and ``(batch, tokens)``."""
    counted = labels != ignored
    return ((logits.argmax(-1) == labels) & counted).sum() / counted.sum().clamp(min=1)
