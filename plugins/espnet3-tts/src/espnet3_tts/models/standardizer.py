"""Features with mean 0 and deviation 1, over all data or over that of each speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

_SMALLEST_STD = 1e-4


class Standardizer(nn.Module):
    """Shift and scale by statistics of the training data, which are saved with the weights.

    Args:
        name: Of the feature.
        size: Its dimensions.
        groups: Names of speakers with statistics of their own; empty for one set of statistics.
        stats: Statistics by name, in training; None where weights will be loaded.

    Raises:
        UserError: Statistics are missing, or have other dimensions.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, name: str, size: int, groups: Sequence[str] = (), stats: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.names = statistics_names(name, groups)
        self.grouped = bool(groups)
        self.register_buffer("mean", torch.zeros(len(self.names), size))
        self.register_buffer("std", torch.ones(len(self.names), size))
        for row, key in enumerate(self.names if stats is not None else ()):
            found = stats.get(key) if stats else None
            if found is None or not found.count or found.mean.shape != (size,):
                raise UserError(
                    f"there are no statistics {key!r} of {size} dimensions",
                    hint="run stage collect_stats again; each speaker needs training data",
                )
            self.mean[row] = torch.as_tensor(found.mean)
            self.std[row] = torch.as_tensor(found.std)

    def _of(self, table: Tensor, values: Tensor, speaker: Tensor | None) -> Tensor:
        """Rows of a table for each utterance: of its speaker, or of all."""
        rows = table[speaker] if self.grouped and speaker is not None else table[:1]
        return rows.unsqueeze(1).to(values.dtype)

    def forward(self, values: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Standardize ``(batch, frames, size)``; ``speaker`` is ``(batch,)`` numbers of speakers."""
        std = self._of(self.std, values, speaker).clamp(min=_SMALLEST_STD)
        return (values - self._of(self.mean, values, speaker)) / std

    def inverse(self, values: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Undo :meth:`forward`."""
        std = self._of(self.std, values, speaker).clamp(min=_SMALLEST_STD)
        return values * std + self._of(self.mean, values, speaker)


def statistics_names(name: str, groups: Sequence[str]) -> tuple[str, ...]:
    """Names under which a feature's statistics are collected: ``pitch``, or ``pitch/<speaker>`` of each."""
    return tuple(f"{name}/{group}" for group in groups) or (name,)
