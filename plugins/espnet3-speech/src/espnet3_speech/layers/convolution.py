"""Convolutions along time over (batch, frames, channels), blind to padding."""

from __future__ import annotations

from typing import Literal

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.layers.batch_norm import MaskedBatchNorm
from espnet3_speech.layers.feed_forward import ACTIVATIONS, Activation
from espnet3_speech.layers.linear import FusedLinear, Linear


class DepthwiseConv(nn.Conv1d):
    """One filter per channel along time; padded frames count as zeros, as if they were beyond the edge.

    Args:
        size: Number of channels.
        kernel: Odd number of frames.
    """

    def __init__(self, size: int, kernel: int) -> None:
        if kernel % 2 == 0:
            raise UserError(
                f"convolution: a kernel of {kernel} frames has no middle", hint="choose an odd kernel"
            )
        super().__init__(size, size, kernel, padding=kernel // 2, groups=size)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``valid`` is ``(batch, frames, 1)`` bool."""
        channels = values.masked_fill(~valid, 0.0).transpose(1, 2)
        if channels.device.type != "cpu":
            return super().forward(channels).transpose(1, 2)
        # Seen as an image of height 1 the transposed input is in channels-last order, for which torch has a
        # kernel several times faster than its one for sequences.
        kernel = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        image = functional.conv2d(
            channels.unsqueeze(2), kernel, self.bias, padding=(0, kernel.shape[3] // 2), groups=self.groups
        )
        return image.squeeze(2).transpose(1, 2)


class ConvolutionModule(nn.Module):
    """Pointwise convolution, GLU, depthwise convolution, normalization, activation, pointwise convolution.

    Gulati et al. 2020, section 2.1.2 and figure 2 (without its layer norm and dropout, which the block has).

    Args:
        size: Number of channels.
        kernel: Frames of the depthwise convolution.
        norm: ``batch_norm`` over valid frames, or ``layer_norm``.
        activation: After the normalization.
    """

    def __init__(
        self, size: int, kernel: int, norm: Literal["batch_norm", "layer_norm"], activation: Activation
    ) -> None:
        super().__init__()
        self.expand = FusedLinear(size, size, 2)
        self.depthwise = DepthwiseConv(size, kernel)
        self.norm = MaskedBatchNorm(size) if norm == "batch_norm" else nn.LayerNorm(size)
        self.activation = ACTIVATIONS[activation]()
        self.contract = Linear(size, size)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``valid`` is ``(batch, frames, 1)`` bool."""
        values = self.depthwise(functional.glu(self.expand(values), dim=-1), valid)
        values = self.norm(values, valid) if isinstance(self.norm, MaskedBatchNorm) else self.norm(values)
        return self.contract(self.activation(values))
