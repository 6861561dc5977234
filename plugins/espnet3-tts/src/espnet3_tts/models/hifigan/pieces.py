"""The pieces of utterances that a generator makes and discriminators judge in training."""

from __future__ import annotations

import torch
from torch import Tensor


def piece_starts(lengths: Tensor, size: int, *, random: bool) -> Tensor:
    """Where a piece of each utterance begins: anywhere, so that it lies within; 0 where it is too short.

    Args:
        lengths: ``(batch,)``.
        size: Of the pieces.
        random: Draw them; otherwise they are in the middle.

    Returns:
        ``(batch,)`` int64.
    """
    room = (lengths - size).clamp(min=0)
    share = torch.rand(len(lengths), device=lengths.device) if random else torch.full_like(room.float(), 0.5)
    return (share * (room + 1)).long().minimum(room)


def pieces(values: Tensor, lengths: Tensor, starts: Tensor, size: int) -> Tensor:
    """Cut a piece out of each utterance; a short one is continued by zeros.

    Args:
        values: ``(batch, places)`` or ``(batch, places, channels)``.
        lengths: ``(batch,)`` places of each.
        starts: ``(batch,)`` first places.
        size: Of the pieces.

    Returns:
        ``(batch, size)`` or ``(batch, size, channels)``.
    """
    place = starts.unsqueeze(1) + torch.arange(size, device=values.device)
    inside = place < lengths.unsqueeze(1)
    index = place.clamp(max=values.shape[1] - 1)
    if values.dim() == 3:
        index, inside = index.unsqueeze(2).expand(-1, -1, values.shape[2]), inside.unsqueeze(2)
    return values.gather(1, index) * inside
