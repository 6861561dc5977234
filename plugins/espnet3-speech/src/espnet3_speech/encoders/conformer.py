"""Conformer encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet3_speech.encoders.blocks import BlockEncoder
from espnet3_speech.encoders.config import ConformerConfig
from espnet3_speech.layers.attention import BlockContext, self_attention
from espnet3_speech.layers.convolution import ConvolutionModule
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.feed_forward import FeedForward
from espnet3_speech.layers.subsampling import input_layer


class ConformerBlock(nn.Module):
    """Half a feed-forward step, attention, convolution, half a feed-forward step (Gulati et al., eq. 1)."""

    def __init__(self, config: ConformerConfig) -> None:
        super().__init__()
        size = config.output_size
        feed_forward = (size, config.linear_units, config.dropout, config.activation)
        self.macaron = FeedForward(*feed_forward) if config.macaron else None
        self.attention = self_attention(
            size, config.attention_heads, config.attention_dropout, config.positions
        )
        self.convolution = (
            ConvolutionModule(size, config.conv_kernel, config.conv_norm, config.activation)
            if config.use_convolution
            else None
        )
        self.feed_forward = FeedForward(*feed_forward)
        self.norm_macaron = nn.LayerNorm(size) if config.macaron else None
        self.norm_attention = nn.LayerNorm(size)
        self.norm_convolution = nn.LayerNorm(size) if config.use_convolution else None
        self.norm_feed_forward = nn.LayerNorm(size)
        self.norm_out = nn.LayerNorm(size) if config.use_convolution else None
        self.dropout = Dropout(config.dropout)
        self.step = 0.5 if config.macaron else 1.0

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        if self.macaron is not None and self.norm_macaron is not None:
            change = self.dropout(self.macaron(self.norm_macaron(values)))
            values = torch.add(values, change, alpha=self.step)
        values = values + self.dropout(self.attention(self.norm_attention(values), context))
        if self.convolution is not None and self.norm_convolution is not None:
            values = values + self.dropout(self.convolution(self.norm_convolution(values), context.valid))
        change = self.dropout(self.feed_forward(self.norm_feed_forward(values)))
        values = torch.add(values, change, alpha=self.step)
        return values if self.norm_out is None else self.norm_out(values)


class ConformerEncoder(BlockEncoder):
    """Conformer (Gulati et al. 2020, section 2).

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: ConformerConfig, *, input_size: int) -> None:
        super().__init__(
            config,
            input_layer(config.input_layer, input_size, config.output_size, config.stack, config.dropout),
            [ConformerBlock(config) for _ in range(config.num_blocks)],
        )
