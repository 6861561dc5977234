"""Dropout that does not wait for random numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Zero elements at random and scale the others up (Srivastava et al. 2014, section 4).

    On CPU torch draws one number per element from a serial generator, which costs more than the layer
    before it; here each 64-bit draw decides on four elements, so the probability is a multiple of 2^-16.

    Args:
        values: Any shape.
        probability: Of an element to become zero.
        training: Whether to do anything.
    """
    if not training or probability == 0.0:
        return values
    if values.device.type != "cpu":
        return functional.dropout(values, probability)
    kept = round((1.0 - probability) * _LEVELS)
    if kept == _LEVELS:
        return values
    if kept == 0:
        return values * 0.0
    draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    mask = (draws[: values.numel()] < kept - _LEVELS // 2).view(values.shape)
    return values * (mask.to(values.dtype) * (_LEVELS / kept))


class Dropout(nn.Module):
    """:func:`dropout` as a module.

    Args:
        probability: Of an element to become zero.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.p = probability

    def forward(self, values: Tensor) -> Tensor:
        """Same shape."""
        return dropout(values, self.p, self.training)

    def extra_repr(self) -> str:
        """Shown by ``print``."""
        return f"p={self.p}"
