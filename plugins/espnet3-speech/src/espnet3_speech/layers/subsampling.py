"""Input layers: features to vectors of the encoder's size, at a lower frame rate."""

from __future__ import annotations

from typing import Literal

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.linear import Linear, linear
from espnet3_speech.layers.strided_conv import conv_relus
from espnet3_speech.masks import valid_mask, zero_padding

InputLayer = Literal["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "conv1d2", "linear", "stack"]
_CONVOLUTIONS: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "conv2d1": (2, ((3, 1), (3, 1))),
    "conv2d2": (2, ((3, 2), (3, 1))),
    "conv2d": (2, ((3, 2), (3, 2))),
    "conv2d6": (2, ((3, 2), (5, 3))),
    "conv2d8": (2, ((3, 2), (3, 2), (3, 2))),
    "conv1d2": (1, ((3, 1), (3, 2))),
}
"""Per input layer: dimensions of its convolutions, and (kernel, stride) of each of them."""


class ConvSubsampling(nn.Module):
    """Convolutions with ReLU over features and time, then a linear layer (Dong et al. 2018, section 3.2).

    Without padding at the edges, so that a valid output frame sees valid input frames only. Utterances too
    short for one output frame are continued with zero features and give one.

    Args:
        kind: One of the convolutional input layers.
        input_size: Number of features.
        output_size: Number of channels and of output dimensions.
    """

    def __init__(self, kind: str, input_size: int, output_size: int) -> None:
        super().__init__()
        dimensions, self.steps = _CONVOLUTIONS[kind]
        self.output_size = output_size
        conv = nn.Conv2d if dimensions == 2 else nn.Conv1d
        sizes = [1 if dimensions == 2 else input_size] + [output_size] * len(self.steps)
        self.convs = nn.ModuleList(
            conv(sizes[i], sizes[i + 1], kernel, stride) for i, (kernel, stride) in enumerate(self.steps)
        )
        bands = self._shrink(input_size) if dimensions == 2 else 1
        if bands < 1:
            raise UserError(
                f"input layer {kind} needs more than {input_size} features", hint="use input_layer: linear"
            )
        self.out = Linear(output_size * bands, output_size)
        self.two_dimensional = dimensions == 2
        self.minimum = 1
        for kernel, stride in reversed(self.steps):
            self.minimum = (self.minimum - 1) * stride + kernel

    def _shrink(self, size: int) -> int:
        for kernel, stride in self.steps:
            size = (size - kernel) // stride + 1
        return size

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Frames after subsampling, one at least."""
        for kernel, stride in self.steps:
            lengths = torch.div(lengths - kernel, stride, rounding_mode="floor") + 1
        return lengths.clamp(min=1)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` to ``(batch, fewer frames, output_size)`` and its lengths."""
        values = zero_padding(features, lengths)
        if values.shape[1] < self.minimum:
            values = functional.pad(values, (0, 0, 0, self.minimum - values.shape[1]))
        values = values.unsqueeze(1) if self.two_dimensional else values.transpose(1, 2)
        values = conv_relus(list(self.convs), values)
        return self._project(values), self.output_lengths(lengths)

    def _project(self, values: Tensor) -> Tensor:
        """``(batch, channels, frames, bands)`` to ``(batch, frames, output_size)``."""
        if not self.two_dimensional or values.is_contiguous():
            return self.out(values.transpose(1, 2).flatten(2))
        # Channels-last values are read as they lie; it is the weights, which are fewer, that are reordered.
        weight = self.out.weight.unflatten(1, values.shape[1::2]).transpose(1, 2).flatten(1)
        return linear(values.permute(0, 2, 3, 1).flatten(2), weight, self.out.bias)


class DepthwiseSubsampling(nn.Module):
    """8x subsampling: a 3x3 convolution and two depthwise-separable ones, each of stride 2.

    Rekesh et al. 2023 ("Fast Conformer"), section 2.1. Time is padded by one frame at both ends, and what
    lies beyond an utterance is zero before each convolution.

    Args:
        input_size: Number of features.
        channels: Of the convolutions.
        output_size: Number of output dimensions.
    """

    def __init__(self, input_size: int, channels: int, output_size: int) -> None:
        super().__init__()
        self.output_size = output_size
        self.first = nn.Conv2d(1, channels, 3, 2, 1)
        self.depthwise = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, 2, 1, groups=channels) for _ in range(2)
        )
        self.pointwise = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(2))
        bands = input_size
        for _ in range(3):
            bands = (bands + 1) // 2
        self.out = Linear(channels * bands, output_size)

    @staticmethod
    def _halve(lengths: Tensor) -> Tensor:
        return torch.div(lengths + 1, 2, rounding_mode="floor")

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """An eighth of the frames, rounded up, one at least."""
        return self._halve(self._halve(self._halve(lengths))).clamp(min=1)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` to ``(batch, frames / 8, output_size)`` and its lengths."""
        values = zero_padding(features, lengths).unsqueeze(1)
        if values.shape[2] == 0:
            values = functional.pad(values, (0, 0, 0, 1))
        left = self._halve(lengths)
        values = functional.relu(self._clean(self.first(values), left), inplace=True)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            left = self._halve(left)
            values = functional.relu(self._clean(pointwise(depthwise(values)), left), inplace=True)
        return self.out(values.transpose(1, 2).flatten(2)), self.output_lengths(lengths)

    @staticmethod
    def _clean(values: Tensor, lengths: Tensor) -> Tensor:
        """Zero the frames that bias and kernel have filled beyond the end."""
        padding = ~valid_mask(lengths, values.shape[2])
        return values.masked_fill_(padding[:, None, :, None], 0.0)


class FrameStacking(nn.Module):
    """Concatenate each ``factor`` consecutive frames into one (Sak et al. 2015, section 2.4).

    Args:
        input_size: Number of features.
        factor: Frames per output frame; the last one is filled up with zeros.
    """

    def __init__(self, input_size: int, factor: int) -> None:
        super().__init__()
        if factor < 1:
            raise UserError(f"cannot stack {factor} frames", hint="choose stack: 1 or more")
        self.factor = factor
        self.output_size = input_size * factor

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Lengths divided by the factor, rounded up, one at least."""
        return torch.div(lengths + self.factor - 1, self.factor, rounding_mode="floor").clamp(min=1)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` to ``(batch, frames / factor, features * factor)`` and lengths."""
        frames = features.shape[1]
        missing = max(-frames % self.factor, 0 if frames else self.factor)
        values = functional.pad(zero_padding(features, lengths), (0, 0, 0, missing))
        return values.unflatten(1, (-1, self.factor)).flatten(2), self.output_lengths(lengths)


class ProjectedStacking(FrameStacking):
    """Stacked frames, projected, normalized: ``linear`` (factor 1) and ``stack``.

    Args:
        input_size: Number of features.
        output_size: Number of output dimensions.
        factor: Frames per output frame.
        dropout: After the normalization.
    """

    def __init__(self, input_size: int, output_size: int, factor: int, dropout: float) -> None:
        super().__init__(input_size, factor)
        self.project = nn.Sequential(
            Linear(self.output_size, output_size), nn.LayerNorm(output_size), Dropout(dropout)
        )
        self.output_size = output_size

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, frames, features)`` to ``(batch, frames / factor, output_size)`` and lengths."""
        values, lengths = super().forward(features, lengths)
        return self.project(values), lengths


def input_layer(kind: str, input_size: int, output_size: int, stack: int, dropout: float) -> nn.Module:
    """The input layer of an encoder, by name."""
    if kind in _CONVOLUTIONS:
        return ConvSubsampling(kind, input_size, output_size)
    return ProjectedStacking(input_size, output_size, stack if kind == "stack" else 1, dropout)
