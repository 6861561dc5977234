"""Lengths to masks. Everywhere in this package True means a valid position."""

from __future__ import annotations

import torch
from torch import Tensor


def valid_mask(lengths: Tensor, size: int) -> Tensor:
    """Which positions of a padded batch hold data.

    Args:
        lengths: ``(batch,)`` number of valid positions.
        size: Padded length.

    Returns:
        ``(batch, size)`` bool, True where ``position < length``.

    >>> valid_mask(torch.tensor([1, 3]), 3).int().tolist()
    [[1, 0, 0], [1, 1, 1]]
    """
    return torch.arange(size, device=lengths.device) < lengths.unsqueeze(1)


def zero_padding(values: Tensor, lengths: Tensor) -> Tensor:
    """Set the padded positions of ``(batch, size, dim)`` to zero, whatever they hold (NaN too)."""
    return values.masked_fill(~valid_mask(lengths, values.shape[1]).unsqueeze(-1), 0.0)


def utterance_means(values: Tensor, lengths: Tensor) -> Tensor:
    """``(batch, places)`` to ``(batch,)`` means over the valid places, whatever the others hold."""
    valid = valid_mask(lengths, values.shape[1])
    return values.masked_fill(~valid, 0.0).sum(1) / lengths.clamp(min=1)
