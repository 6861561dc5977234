"""SpecAugment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet3_speech.masks import valid_mask
from espnet3_speech.specaugment.config import SpecAugmentConfig


def _bands(starts: Tensor, widths: Tensor, size: int) -> Tensor:
    """Union of bands: ``(batch, bands)`` starts and widths to ``(batch, size)`` bool."""
    places = torch.arange(size, device=starts.device)
    starts, ends = starts.unsqueeze(-1), (starts + widths).unsqueeze(-1)
    return ((places >= starts) & (places < ends)).any(1)


def _integers(low: Tensor, high: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Uniform integers in ``[low, high]``; bounds broadcast to the shape."""
    draws = torch.rand(shape, device=high.device)
    return (low + draws * (high - low + 1)).floor().long().minimum(high).maximum(low)


def warp_time(features: Tensor, lengths: Tensor, window: int) -> Tensor:
    """Move one random frame of each utterance by up to ``window`` frames, stretching what lies around it.

    Linear interpolation along time. Utterances shorter than ``2 * window + 2`` frames stay as they are.

    Args:
        features: ``(batch, frames, dim)``.
        lengths: ``(batch,)`` valid frames.
        window: Largest shift, 1 at least.
    """
    batch, frames, dim = features.shape
    length = lengths.unsqueeze(1)
    window_ = torch.full_like(length, window)
    centre = _integers(window_ + 1, (length - window - 1).maximum(window_ + 1), (batch, 1))
    target = centre + _integers(-window_, window_, (batch, 1))
    target = torch.where(length >= 2 * window + 2, target, centre)
    places = torch.arange(frames, device=features.device).unsqueeze(0)
    before = places * (centre / target)
    after = centre + (places - target) * ((length - 1 - centre) / (length - 1 - target).clamp(min=1))
    source = torch.where(places < target, before, after)
    source = torch.where(length >= 2 * window + 2, source, places.to(source.dtype))
    source = torch.where(places < length, source, places.to(source.dtype)).clamp(0, frames - 1)
    left = source.floor()
    weight = (source - left).unsqueeze(-1).to(features.dtype)
    first = left.long().unsqueeze(-1).expand(-1, -1, dim)
    second = (first + 1).clamp(max=frames - 1)
    return torch.lerp(features.gather(1, first), features.gather(1, second), weight)


class SpecAugment(nn.Module):
    """Time warping, frequency masks and time masks on log-mel features (Park et al. 2019, section 2).

    Each utterance draws its own, from torch's global generator, on the features' device. Active in training
    mode only. With ``time_ratio``, mask widths follow the utterance (Park et al. 2020, section 3).

    Args:
        config: Numbers and widths of masks.

    Raises:
        UserError: A range is empty or negative.
    """

    def __init__(self, config: SpecAugmentConfig) -> None:
        super().__init__()
        self.config = config

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Augment ``(batch, frames, dim)`` features; padded frames stay as they are."""
        if not self.training:
            return features
        if self.config.time_warp > 0:
            features = warp_time(features, lengths, self.config.time_warp)
        hidden = self._hidden(features, lengths)
        if hidden is None:
            return features
        if self.config.fill == "zero":
            return features.masked_fill(hidden, 0.0)
        valid = valid_mask(lengths, features.shape[1]).unsqueeze(-1)
        total = features.masked_fill(~valid, 0.0).sum((1, 2)) / features.shape[2]
        mean = (total / lengths.clamp(min=1)).to(features.dtype)
        return torch.where(hidden & valid, mean[:, None, None], features)

    def _hidden(self, features: Tensor, lengths: Tensor) -> Tensor | None:
        """``(batch, frames, dim)`` bool (or broadcastable to it): what the masks cover."""
        batch, frames, dim = features.shape
        hidden = None
        if self.config.freq_masks > 0:
            shape = (batch, self.config.freq_masks)
            low, high = (
                torch.full((1, 1), min(w, dim), device=features.device) for w in self.config.freq_width
            )
            widths = _integers(low, high, shape)
            starts = _integers(torch.zeros_like(widths), dim - widths, shape)
            hidden = _bands(starts, widths, dim).unsqueeze(1)
        if self.config.time_masks > 0:
            shape = (batch, self.config.time_masks)
            widths = self._time_widths(lengths.unsqueeze(1), shape)
            starts = _integers(torch.zeros_like(widths), lengths.unsqueeze(1) - widths, shape)
            covered = _bands(starts, widths, frames).unsqueeze(2)
            hidden = covered if hidden is None else hidden | covered
        return hidden

    def _time_widths(self, length: Tensor, shape: tuple[int, int]) -> Tensor:
        if self.config.time_width is not None:
            low, high = (torch.full_like(length, width).minimum(length) for width in self.config.time_width)
        else:
            low, high = ((length * ratio).floor().long() for ratio in self.config.time_ratio)
        return _integers(low, high, shape)
