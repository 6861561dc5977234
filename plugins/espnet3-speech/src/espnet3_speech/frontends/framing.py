"""Edges of utterances, and frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_BLOCK = 4096
"""Frames computed at once: few enough that the allocator keeps their memory, many enough for all threads."""


def _mirror(position: Tensor, lengths: Tensor, repeat_edge: bool) -> Tensor:
    """Index within ``[0, length)`` that a position outside is a mirror image of."""
    lengths = lengths.clamp(min=1)
    if repeat_edge:
        period = 2 * lengths
        position = position.remainder(period)
        return torch.minimum(position, period - 1 - position)
    period = (2 * (lengths - 1)).clamp(min=1)
    position = position.remainder(period)
    return torch.minimum(position, period - position).clamp(min=0).minimum(lengths - 1)


def pad_mirrored(speech: Tensor, lengths: Tensor, before: int, after: int, *, repeat_edge: bool) -> Tensor:
    """Continue each utterance by its own mirror image, so that batching changes no frame.

    Args:
        speech: ``(batch, samples)``, padded with anything.
        lengths: ``(batch,)`` samples.
        before: Samples to add in front.
        after: Samples that follow the last valid sample of each utterance.
        repeat_edge: Whether the first and last sample are part of their own image (Kaldi) or the axis of
            the mirror (STFT with reflection).

    Returns:
        ``(batch, before + samples + after)``.
    """
    if speech.shape[1] == 0:
        return speech.new_zeros(speech.shape[0], before + after)
    rows = lengths.unsqueeze(1)
    head = torch.arange(-before, 0, device=speech.device).unsqueeze(0)
    tail = torch.arange(after, device=speech.device).unsqueeze(0) + rows
    start, end = (speech.gather(1, _mirror(place, rows, repeat_edge)) for place in (head, tail))
    padded = torch.cat([start, speech, torch.zeros_like(end)], dim=1)
    return padded.scatter_(1, tail + before, end)


def frames_of(signal: Tensor, count: int, size: int, hop: int) -> Tensor:
    """View of ``count`` frames of ``size`` samples, ``hop`` apart: ``(batch, count, size)``."""
    return signal.unfold(1, size, hop)[:, :count]


def map_frames(function: Callable[[Tensor], Tensor], frames: Tensor) -> Tensor:
    """Apply to frames what treats each of them alone.

    On the CPU a few thousand at a time: larger intermediate results would be new memory in every call, which
    takes the system longer to hand out than the spectra take.

    Args:
        function: ``(batch, count, size)`` to ``(batch, count, features)``.
        frames: ``(batch, count, size)``.

    Returns:
        ``(batch, count, features)``.
    """
    batch, count, _ = frames.shape
    if frames.device.type != "cpu" or torch.compiler.is_compiling() or batch * count <= _BLOCK:
        return function(frames)
    return torch.cat([function(block) for block in frames.split(max(1, _BLOCK // batch), dim=1)], dim=1)
