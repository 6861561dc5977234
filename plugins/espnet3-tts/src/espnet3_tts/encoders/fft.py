"""Feed-forward Transformer of FastSpeech."""

from __future__ import annotations

from espnet3_core.errors import UserError
from espnet3_speech.encoders.blocks import BlockEncoder
from espnet3_speech.layers.attention import BlockContext, self_attention
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.feed_forward import ACTIVATIONS
from espnet3_speech.layers.subsampling import input_layer
from torch import Tensor, nn

from espnet3_tts.encoders.config import FeedForwardTransformerConfig, WindowedTransformerConfig


class Identity(nn.Module):
    """Input layer that passes vectors on.

    Args:
        size: Dimensions in and out.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.output_size = size

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """As many as come in."""
        return lengths

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The same."""
        return values, lengths


class ConvFeedForward(nn.Module):
    """Two convolutions along time with an activation between them (Ren et al. 2019, section 3.1)."""

    def __init__(self, config: FeedForwardTransformerConfig | WindowedTransformerConfig) -> None:
        super().__init__()
        first, second = config.kernels
        size, units = config.output_size, config.linear_units
        self.expand = nn.Conv1d(size, units, first, padding=first // 2)
        self.activation = ACTIVATIONS[config.activation]()
        self.dropout = Dropout(config.dropout)
        self.contract = nn.Conv1d(units, size, second, padding=second // 2)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``valid`` is ``(batch, frames, 1)`` bool."""
        hidden = self.activation(self.expand(values.masked_fill(~valid, 0.0).transpose(1, 2)))
        hidden = self.dropout(hidden).masked_fill(~valid.transpose(1, 2), 0.0)
        return self.contract(hidden).transpose(1, 2)


class FftBlock(nn.Module):
    """Self-attention and convolutions, each after a layer norm and around a residual."""

    def __init__(self, config: FeedForwardTransformerConfig) -> None:
        super().__init__()
        self.attention = self_attention(
            config.output_size, config.attention_heads, config.attention_dropout, config.positions
        )
        self.feed_forward = ConvFeedForward(config)
        self.norm_attention = nn.LayerNorm(config.output_size)
        self.norm_feed_forward = nn.LayerNorm(config.output_size)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        values = values + self.dropout(self.attention(self.norm_attention(values), context))
        return values + self.dropout(self.feed_forward(self.norm_feed_forward(values), context.valid))


class FeedForwardTransformer(BlockEncoder):
    """Transformer whose feed-forward networks are convolutions (Ren et al. 2019), layer norm first.

    Args:
        config: Sizes and options.
        input_size: Dimensions of the input.

    Raises:
        UserError: ``input_layer`` is ``identity`` and the input has other dimensions.
    """

    def __init__(self, config: FeedForwardTransformerConfig, *, input_size: int) -> None:
        size = config.output_size
        if config.input_layer == "identity" and input_size != size:
            raise UserError(
                f"tts/fft: vectors of {input_size} dimensions come in, and output_size is {size}",
                hint="choose equal sizes, or input_layer: linear",
            )
        layer = (
            Identity(size)
            if config.input_layer == "identity"
            else input_layer("linear", input_size, size, 1, config.dropout)
        )
        super().__init__(config, layer, [FftBlock(config) for _ in range(config.num_blocks)])
