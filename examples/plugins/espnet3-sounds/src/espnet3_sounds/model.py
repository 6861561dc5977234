"""The model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet3_core.errors import UserError
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn
from torch.nn import functional

from espnet3_sounds.config import ClassifierConfig


class Classifier(nn.Module):
    """One-dimensional convolutions over features; the mean over time is classified.

    Args:
        config: Labels and sizes.
        sample_rate: Rate of the audio in Hz.
    """

    def __init__(self, config: ClassifierConfig, *, sample_rate: int) -> None:
        super().__init__()
        self.labels = list(config.labels)
        self.frontend = config.frontend.build(sample_rate=sample_rate)
        sizes = [self.frontend.output_size] + [config.channels] * config.layers
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel_size=5, stride=1 + number % 2, padding=2)
            for number, (before, after) in enumerate(zip(sizes, sizes[1:], strict=False))
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for size in sizes[1:])
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(sizes[-1], len(self.labels))

    def logits(self, speech: Tensor, speech_lengths: Tensor) -> Tensor:
        """``(batch, samples)`` audio to ``(batch, labels)``."""
        values, lengths = self.frontend(speech, speech_lengths)
        counted = lengths.clamp(min=1).view(-1, 1, 1)
        mean = zero_padding(values, lengths).sum((1, 2), keepdim=True) / (counted * values.shape[2])
        values = zero_padding(values - mean, lengths)  # the level says nothing
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            values = convolution(values.transpose(1, 2)).transpose(1, 2)
            lengths = (lengths - 1) // convolution.stride[0] + 1
            values = zero_padding(functional.relu(norm(values)), lengths)
        valid = valid_mask(lengths, values.shape[1]).sum(1, keepdim=True).clamp(min=1)
        return self.output(self.dropout(values.sum(1) / valid))

    def forward(self, speech: Tensor, speech_lengths: Tensor, label: Sequence[str]) -> dict[str, Tensor]:
        """Cross entropy, and the share of right labels.

        Raises:
            UserError: A label is none of the model's.
        """
        logits = self.logits(speech, speech_lengths)
        targets = torch.tensor([self._number(name) for name in label], device=logits.device)
        return {
            "loss": functional.cross_entropy(logits, targets),
            "accuracy": (logits.argmax(-1) == targets).float().mean().detach(),
            "weight": torch.tensor(len(targets), device=logits.device),
        }

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The most likely ``label`` of each sound, its probability as ``score``, and all of them."""
        shares = self.logits(batch["speech"], batch["speech_lengths"]).softmax(-1)
        found = []
        for row in shares.tolist():
            best = max(range(len(row)), key=row.__getitem__)
            probabilities = dict(zip(self.labels, row, strict=True))
            found.append({"label": self.labels[best], "score": row[best], "probabilities": probabilities})
        return found

    def _number(self, name: str) -> int:
        if name not in self.labels:
            raise UserError(
                f"label {name!r} is none of the model's: {', '.join(self.labels)}",
                hint="add it to training.model.labels, or leave such files out by the pattern",
            )
        return self.labels.index(name)
