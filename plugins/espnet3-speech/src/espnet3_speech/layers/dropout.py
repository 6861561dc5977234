"""Dropout that does not wait for random numbers."""

from __future__ import annotations

import numpy as np
import torch
from numpy.random import SFC64
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 16


def dropout(values: Tensor, probability: float, training: bool) -> Tensor:
    """Zero elements at random and scale the others up (Srivastava et al. 2014, section 4).

    On CPU torch draws one number per element from a slow serial generator, which costs more than the layer
    before it; here each 64-bit draw decides on four elements, so the probability is a multiple of 2^-16.

    Args:
        values: Any shape.
        probability: Of an element to become zero.
        training: Whether to do anything.
    """
    if not training or probability == 0.0:
        return values
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        return functional.dropout(values, probability)
    kept = round((1.0 - probability) * _LEVELS)
    if kept == _LEVELS:
        return values
    if kept == 0:
        return values * 0.0
    return values * _random_mask(values, kept).mul_(_LEVELS / kept)


def _random_mask(like: Tensor, kept: int) -> Tensor:
    """Ones with a probability of ``kept / 2^16`` and zeros, as torch's generator seeds them."""
    seed, count = int(torch.randint(2**62, ())), like.numel()
    draws = torch.from_numpy(SFC64(seed).random_raw(-(-count // 4)).view(np.int16))[:count]
    # Written as numbers at once: torch turns truth values into numbers one by one.
    mask = torch.empty(count, dtype=like.dtype)
    return torch.lt(draws, kept - _LEVELS // 2, out=mask).view(like.shape)


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
