"""Transformer encoder."""

from __future__ import annotations

from torch import Tensor, nn

from espnet3_speech.encoders.blocks import BlockEncoder
from espnet3_speech.encoders.config import TransformerConfig
from espnet3_speech.layers.attention import BlockContext, self_attention
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.feed_forward import FeedForward
from espnet3_speech.layers.subsampling import input_layer


class TransformerBlock(nn.Module):
    """Self-attention and feed-forward network, each after a layer norm and around a residual."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        size = config.output_size
        self.attention = self_attention(
            size, config.attention_heads, config.attention_dropout, config.positions
        )
        self.feed_forward = FeedForward(size, config.linear_units, config.dropout, config.activation)
        self.norm_attention = nn.LayerNorm(size)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        values = values + self.dropout(self.attention(self.norm_attention(values), context))
        return values + self.dropout(self.feed_forward(self.norm_feed_forward(values)))


class TransformerEncoder(BlockEncoder):
    """Transformer (Vaswani et al. 2017, section 3.1), layer norm first (Xiong et al. 2020, figure 1b).

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: TransformerConfig, *, input_size: int) -> None:
        super().__init__(
            config,
            input_layer(config.input_layer, input_size, config.output_size, config.stack, config.dropout),
            [TransformerBlock(config) for _ in range(config.num_blocks)],
        )
