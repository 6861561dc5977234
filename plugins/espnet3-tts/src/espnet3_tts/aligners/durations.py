"""Durations of tokens to frames, and values of frames to tokens."""

from __future__ import annotations

import torch
from espnet3_speech.layers.exporting import exporting
from torch import Tensor


def owners(durations: Tensor, frames: int) -> Tensor:
    """``(batch, tokens)`` durations to the token of each frame, ``(batch, frames)``; -1 beyond the last."""
    ends = durations.cumsum(1)
    position = torch.arange(frames, device=durations.device).expand(len(durations), -1).contiguous()
    if exporting():  # The same without a search, which other programs do not have.
        token = (position.unsqueeze(2) >= ends.unsqueeze(1)).sum(2)
    else:
        token = torch.searchsorted(ends, position, right=True)
    return token.masked_fill(position >= ends[:, -1:], -1)


def token_means(values: Tensor, counted: Tensor, durations: Tensor) -> Tensor:
    """Means over the frames of each token.

    Args:
        values: ``(batch, frames)``.
        counted: ``(batch, frames)`` bool, frames that count.
        durations: ``(batch, tokens)`` frames of each token.

    Returns:
        ``(batch, tokens)``; 0 where no frame counts.
    """
    token = owners(durations, values.shape[1])
    counted = counted & (token >= 0)
    place = token.clamp(min=0)
    zeros = values.new_zeros(durations.shape)
    sums = zeros.scatter_add(1, place, values.masked_fill(~counted, 0.0))
    return sums / zeros.scatter_add(1, place, counted.to(values.dtype)).clamp(min=1)


def expanded(hidden: Tensor, durations: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's vector as often as its duration (Ren et al. 2019, section 3.2).

    Returns:
        ``(batch, frames, size)``, zero in padding, and ``(batch,)`` frames.
    """
    lengths = durations.sum(1)
    frames = int(lengths.max())
    if exporting():
        torch._check(frames >= 2)  # A graph has no branches: less would need one of its own.
    else:
        frames = max(frames, 1)
    token = owners(durations, frames)
    index = token.clamp(min=0).unsqueeze(2).expand(-1, -1, hidden.shape[2])
    return hidden.gather(1, index) * (token >= 0).unsqueeze(2), lengths


def rounded(durations: Tensor) -> Tensor:
    """Whole durations whose sums stay within half a frame of those of ``(batch, tokens)`` real ones.

    A text whose durations come to nothing gets one frame: something is to be heard of any text.
    """
    ends = (durations.cumsum(1) + 0.5).floor().to(torch.int64)
    whole = torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1]))
    silent = (ends[:, -1:] == 0).to(whole.dtype)
    return torch.cat([whole[:, :1] + silent, whole[:, 1:]], 1)
