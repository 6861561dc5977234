"""Transformer whose attention knows distances up to a window."""

from __future__ import annotations

import math

import torch
from espnet3_core.errors import UserError
from espnet3_speech.encoders.output import EncoderOutput
from espnet3_speech.layers.attention import check_heads, join_heads, project_heads
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.linear import FusedLinear
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn

from espnet3_tts.encoders.config import WindowedTransformerConfig
from espnet3_tts.encoders.fft import ConvFeedForward


class WindowedAttention(nn.Module):
    """Self-attention with a learned vector for each distance (Shaw et al. 2018, equations 3 and 4).

    The vectors are the same for all heads. Beyond the window, distance counts nothing.

    Args:
        size: Number of dimensions.
        heads: Attention heads.
        window: Largest distance that has vectors of its own.
        dropout: On attention weights.
    """

    def __init__(self, size: int, heads: int, window: int, dropout: float) -> None:
        super().__init__()
        check_heads(size, heads)
        self.heads = heads
        self.window = window
        self.project = FusedLinear(size, size, 3)
        for weight in self.project.weight.chunk(3):
            nn.init.xavier_uniform_(weight)
        wide = size // heads
        self.key_distances = nn.Parameter(torch.randn(2 * window + 1, wide) * wide**-0.5)
        self.value_distances = nn.Parameter(torch.randn(2 * window + 1, wide) * wide**-0.5)
        self.dropout = Dropout(dropout)
        self.out = nn.Linear(size, size)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, tokens, size)`` to the same shape; ``valid`` is ``(batch, tokens)`` bool."""
        query, key, value = project_heads(self.project, values, 3, self.heads)
        query = query / math.sqrt(query.shape[-1])
        count = values.shape[1]
        place = torch.arange(count, device=values.device)
        apart = place - place.unsqueeze(1)
        known = (apart.abs() <= self.window).to(values.dtype)
        column = (apart.clamp(-self.window, self.window) + self.window).expand(*query.shape[:2], -1, -1)
        by_distance = (query @ self.key_distances.T).gather(-1, column) * known
        scores = (query @ key.transpose(-1, -2) + by_distance).masked_fill(~valid[None, :, None], -math.inf)
        weights = self.dropout(scores.softmax(-1))
        near = weights.new_zeros(*weights.shape[:-1], 2 * self.window + 1)
        near = near.scatter_add(-1, column, weights * known)
        return self.out(join_heads(weights @ value + near @ self.value_distances))


class WindowedBlock(nn.Module):
    """Attention and convolutions, each around a residual and before a layer norm."""

    def __init__(self, config: WindowedTransformerConfig) -> None:
        super().__init__()
        size = config.output_size
        self.attention = WindowedAttention(size, config.attention_heads, config.window, config.dropout)
        self.feed_forward = ConvFeedForward(config)
        self.norm_attention = nn.LayerNorm(size)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, tokens, size)`` to the same shape; ``valid`` is ``(batch, tokens)`` bool."""
        values = self.norm_attention(values + self.dropout(self.attention(values, valid)))
        changed = self.dropout(self.feed_forward(values, valid.unsqueeze(2)))
        return self.norm_feed_forward(values + changed)


class WindowedTransformer(nn.Module):
    """Text encoder of VITS and Glow-TTS (Kim et al. 2020, appendix A.1), layer norm last.

    Args:
        config: Sizes and options.
        input_size: Dimensions of the input.

    Raises:
        UserError: The input has other dimensions than the hidden vectors.
    """

    def __init__(self, config: WindowedTransformerConfig, *, input_size: int) -> None:
        super().__init__()
        if input_size != config.output_size:
            raise UserError(
                f"tts/windowed: vectors of {input_size} dimensions come in, and output_size is "
                f"{config.output_size}",
                hint="choose a token_size that equals encoder.output_size",
            )
        self.output_size = config.output_size
        self.blocks = nn.ModuleList(WindowedBlock(config) for _ in range(config.num_blocks))

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """As many as come in."""
        return lengths

    def forward(self, values: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode ``(batch, tokens, size)`` of ``(batch,)`` lengths."""
        valid = valid_mask(lengths, values.shape[1])
        for block in self.blocks:
            values = block(values, valid)
        return EncoderOutput(zero_padding(values, lengths), lengths, {})
