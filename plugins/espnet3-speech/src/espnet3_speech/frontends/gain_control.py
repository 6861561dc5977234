"""Levels that jump within a recording, evened out."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from espnet3_speech.masks import valid_mask


def local_level(energies: Tensor, lengths: Tensor, reach: int, most_gain_db: float, floor: float) -> Tensor:
    """How loud each frame's surroundings are.

    The loudest frame within ``reach`` frames, by the sum of its bands, and the geometric mean of that over
    ``reach`` frames to either side, so that the level changes smoothly. Dividing by it leaves the rise and
    fall within a syllable and takes away what differs between words.

    Args:
        energies: ``(batch, frames, bands)`` power, padded with anything finite.
        lengths: ``(batch,)`` frames.
        reach: Frames before and after that count as surroundings.
        most_gain_db: The level is at most this far below that of the utterance's loudest frame.
        floor: Smallest level.

    Returns:
        ``(batch, frames, 1)`` power.
    """
    width = 2 * reach + 1
    valid = valid_mask(lengths, energies.shape[1]).unsqueeze(1)
    total = energies.sum(2).unsqueeze(1).masked_fill(~valid, 0.0)
    around = functional.max_pool1d(total, width, 1, reach)
    least = total.amax(2, keepdim=True) * 10 ** (-most_gain_db / 10)
    level = around.maximum(least).clamp(min=floor).log().masked_fill(~valid, 0.0)
    # Both averages count padding as zero, which their ratio does not see.
    shares = functional.avg_pool1d(valid.to(level.dtype), width, 1, reach).clamp(min=1 / width)
    return (functional.avg_pool1d(level, width, 1, reach) / shares).exp().transpose(1, 2)
