"""Mean and variance normalization, of the training data or of each utterance."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_speech.masks import valid_mask
from espnet3_speech.normalizers.config import GlobalMVNConfig, UtteranceMVNConfig

_SMALLEST_STD = 1e-5


class Statistics(Protocol):
    """Mean and standard deviation per dimension over ``count`` frames, as numpy arrays ``(dim,)``."""

    mean: Any
    std: Any
    count: int


class GlobalMVN(nn.Module):
    """Shift and scale each dimension by statistics of the training data.

    The statistics are buffers, hence saved with the weights; a model built without them must load them
    before its first use.

    Args:
        config: Which moments to normalize.
        input_size: Number of features.
        stats: Statistics of these features, or None where weights will be loaded.

    Raises:
        UserError: The statistics have another number of dimensions.
    """

    needs_statistics = True
    mean: Tensor
    std: Tensor
    count: Tensor

    def __init__(self, config: GlobalMVNConfig, *, input_size: int, stats: Statistics | None = None) -> None:
        super().__init__()
        self.config = config
        self.output_size = input_size
        self.register_buffer("mean", torch.zeros(input_size))
        self.register_buffer("std", torch.ones(input_size))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self._ready = False
        self.register_load_state_dict_post_hook(_refresh)
        if stats is not None:
            self._fill(stats)

    def _fill(self, stats: Statistics) -> None:
        mean, std = torch.as_tensor(stats.mean), torch.as_tensor(stats.std)
        if mean.shape != self.mean.shape or std.shape != self.std.shape:
            raise UserError(
                f"normalizer speech/global_mvn: statistics of {mean.numel()} dimensions for features of "
                f"{self.output_size}",
                hint="run stage collect_stats again: the front end has changed since",
            )
        self.mean.copy_(mean)
        self.std.copy_(std)
        self.count.fill_(int(stats.count))
        _refresh(self)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize ``(batch, frames, dim)``; padded frames become zero.

        Raises:
            UserError: There are no statistics yet.
        """
        if not self._ready:
            raise UserError(
                "normalizer speech/global_mvn has no feature statistics",
                hint="run stage collect_stats before train, or load trained weights",
            )
        with torch.autocast(features.device.type, enabled=False):
            features = features if features.dtype == torch.float64 else features.float()
            if self.config.norm_means:
                features = features - self.mean.to(features.dtype)
            if self.config.norm_vars:
                features = features / self.std.to(features.dtype).clamp(min=_SMALLEST_STD)
            return features.masked_fill(~valid_mask(lengths, features.shape[1]).unsqueeze(-1), 0.0), lengths


def _refresh(module: nn.Module, _: Any = None) -> None:
    """Note, once per loading and not per batch, whether there are statistics."""
    assert isinstance(module, GlobalMVN)
    module._ready = bool(module.count > 0)


class UtteranceMVN(nn.Module):
    """Shift (and scale) each dimension by the statistics of its own utterance, padding left out.

    Args:
        config: Which moments to normalize.
        input_size: Number of features.
        stats: Not used.
    """

    needs_statistics = False

    def __init__(
        self, config: UtteranceMVNConfig, *, input_size: int, stats: Statistics | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.output_size = input_size

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalize ``(batch, frames, dim)``; padded frames become zero."""
        with torch.autocast(features.device.type, enabled=False):
            features = features if features.dtype == torch.float64 else features.float()
            padding = ~valid_mask(lengths, features.shape[1]).unsqueeze(-1)
            count = lengths.clamp(min=1).to(features.dtype)[:, None, None]
            features = features.masked_fill(padding, 0.0)
            mean = features.sum(1, keepdim=True) / count
            centred = (features - mean).masked_fill(padding, 0.0)
            if self.config.norm_vars:
                std = (centred.square().sum(1, keepdim=True) / count).sqrt().clamp(min=_SMALLEST_STD)
                features, centred = features / std, centred / std
            return (centred if self.config.norm_means else features), lengths
