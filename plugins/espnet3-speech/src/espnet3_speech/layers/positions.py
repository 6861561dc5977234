"""Position schemes: sinusoids added to the input, sinusoids of distances, rotations."""

from __future__ import annotations

import math
from typing import Any

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.exporting import exporting


def sinusoids(positions: Tensor, size: int) -> Tensor:
    """Sine and cosine of ``position / 10000^(2i / size)``, interleaved (Vaswani et al. 2017, section 3.5).

    Args:
        positions: ``(count,)``; may be negative.
        size: Even number of dimensions.

    Returns:
        ``(count, size)`` float64.
    """
    rates = torch.exp(
        torch.arange(0, size, 2, dtype=torch.float64, device=positions.device) * (-math.log(10000.0) / size)
    )
    angles = positions.to(torch.float64).unsqueeze(1) * rates
    # Few runtimes of graphs have the cosine of float64; all have its sine.
    cosines = (angles + math.pi / 2).sin() if exporting() else angles.cos()
    return torch.stack([angles.sin(), cosines], dim=-1).flatten(1)


class PositionTable(nn.Module):
    """Sinusoids of consecutive positions, made once and extended when longer input comes.

    The table is no buffer: its size differs between the processes of a distributed training, and buffers
    are exchanged.

    Args:
        size: Number of dimensions, even.
        signed: Positions ``n - 1 … -(n - 1)`` instead of ``0 … n - 1``.
    """

    def __init__(self, size: int, *, signed: bool = False) -> None:
        super().__init__()
        if size % 2:
            raise UserError(f"sinusoidal positions need an even size, not {size}", hint="change output_size")
        self.size = size
        self.signed = signed
        self._table: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_table": None}

    def forward(self, count: int, like: Tensor, offset: int = 0) -> Tensor:
        """Rows for ``count`` positions from ``offset`` on, or for all distances among ``count`` positions.

        Args:
            count: Number of positions.
            like: Gives device and dtype.
            offset: First position; unsigned tables only.

        Returns:
            ``(count, size)``, or ``(2 * count - 1, size)`` when signed.
        """
        if exporting():  # The graph is for every length: it makes its own rows.
            first = 1 - count if self.signed else offset
            rows = sinusoids(torch.arange(first, count + offset, device=like.device), self.size)
            return (rows.flip(0) if self.signed else rows).to(like.dtype)
        needed = count + offset
        table = self._table
        if table is None or table.device != like.device or table.dtype != like.dtype or self._reach < needed:
            # A table made in inference mode could not be used in training later.
            with torch.inference_mode(False):
                table = self._make(max(512, 1 << (needed - 1).bit_length()), like)
            self._table = table
        if self.signed:
            return table[self._reach - count : self._reach + count - 1]
        return table[offset:needed]

    @property
    def _reach(self) -> int:
        assert self._table is not None
        return (self._table.shape[0] + 1) // 2 if self.signed else self._table.shape[0]

    def _make(self, reach: int, like: Tensor) -> Tensor:
        positions = torch.arange(reach, device=like.device)
        if self.signed:
            positions = torch.arange(reach - 1, -reach, -1, device=like.device)
        return sinusoids(positions, self.size).to(like.dtype)


def rotate(values: Tensor, table: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021, eq. 34): each pair of dimensions turns by an angle of its position.

    Args:
        values: ``(batch, heads, frames, dim)``.
        table: ``(frames, dim)`` from :class:`PositionTable`: sine and cosine of each pair.

    Returns:
        ``(batch, heads, frames, dim)``; products of rotated queries and keys depend on distances only.
    """
    sine, cosine = table[:, 0::2], table[:, 1::2]
    even, odd = values[..., 0::2], values[..., 1::2]
    return torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1).flatten(-2)


class ScaledInput(nn.Module):
    """What precedes the first block: input scaled by the root of its size, plus absolute positions.

    Vaswani et al. 2017, sections 3.4 and 3.5.

    Args:
        size: Number of dimensions.
        dropout: After the sum.
        add_positions: Whether the scheme is absolute.
    """

    def __init__(self, size: int, dropout: float, *, add_positions: bool) -> None:
        super().__init__()
        self.scale = math.sqrt(size)
        self.table = PositionTable(size) if add_positions else None
        self.dropout = Dropout(dropout)

    def forward(self, values: Tensor, offset: int = 0) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``offset`` is the position of the first frame."""
        if self.table is None:
            return self.dropout(values * self.scale)
        positions = self.table(values.shape[1], values, offset)
        return self.dropout(torch.add(positions, values, alpha=self.scale))
