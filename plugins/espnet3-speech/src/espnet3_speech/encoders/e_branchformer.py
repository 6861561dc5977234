"""E-Branchformer encoder."""

from __future__ import annotations

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_speech.encoders.blocks import BlockEncoder
from espnet3_speech.encoders.config import EBranchformerConfig
from espnet3_speech.layers.attention import BlockContext, self_attention
from espnet3_speech.layers.convolution import DepthwiseConv
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.feed_forward import ACTIVATIONS, FeedForward
from espnet3_speech.layers.linear import Linear
from espnet3_speech.layers.subsampling import input_layer


class ConvolutionalGatingMLP(nn.Module):
    """Channels gated by a depthwise convolution of the other channels (Peng et al. 2022, eq. 5 to 9).

    Args:
        config: Sizes and options.
    """

    def __init__(self, config: EBranchformerConfig) -> None:
        super().__init__()
        if config.cgmlp_units % 2:
            raise UserError(
                f"encoder: cgmlp_units {config.cgmlp_units} cannot be halved", hint="choose an even one"
            )
        half = config.cgmlp_units // 2
        self.expand = Linear(config.output_size, config.cgmlp_units)
        self.activation = nn.GELU()
        self.norm = nn.LayerNorm(half)
        self.depthwise = DepthwiseConv(half, config.cgmlp_kernel)
        self.linear = Linear(half, half) if config.cgmlp_linear_after_conv else nn.Identity()
        self.gate = (
            nn.Identity() if config.gate_activation == "identity" else ACTIVATIONS[config.gate_activation]()
        )
        self.dropout = Dropout(config.dropout)
        self.contract = Linear(half, config.output_size)
        # The gate starts close to 1: the module first passes its input on (Peng et al. 2022, section 3.2).
        nn.init.normal_(self.depthwise.weight, std=1e-6)
        assert self.depthwise.bias is not None
        nn.init.ones_(self.depthwise.bias)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``valid`` is ``(batch, frames, 1)`` bool."""
        passed, gate = self.activation(self.expand(values)).chunk(2, dim=-1)
        gate = self.gate(self.linear(self.depthwise(self.norm(gate), valid)))
        return self.contract(self.dropout(passed * gate))


class EBranchformerBlock(nn.Module):
    """Attention beside gating MLP, merged by a depthwise convolution, between feed-forward steps."""

    def __init__(self, config: EBranchformerConfig) -> None:
        super().__init__()
        size = config.output_size
        feed_forward = (size, config.linear_units, config.dropout, config.activation)
        two = config.use_ffn and config.macaron
        self.macaron = FeedForward(*feed_forward) if two else None
        self.attention = self_attention(
            size, config.attention_heads, config.attention_dropout, config.positions
        )
        self.gating = ConvolutionalGatingMLP(config)
        self.mix = DepthwiseConv(2 * size, config.merge_kernel)
        self.merge = Linear(2 * size, size)
        self.feed_forward = FeedForward(*feed_forward) if config.use_ffn else None
        self.norm_macaron = nn.LayerNorm(size) if two else None
        self.norm_attention = nn.LayerNorm(size)
        self.norm_gating = nn.LayerNorm(size)
        self.norm_feed_forward = nn.LayerNorm(size) if config.use_ffn else None
        self.norm_out = nn.LayerNorm(size)
        self.dropout = Dropout(config.dropout)
        self.step = 0.5 if two else 1.0

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        if self.macaron is not None and self.norm_macaron is not None:
            change = self.dropout(self.macaron(self.norm_macaron(values)))
            values = torch.add(values, change, alpha=self.step)
        far = self.dropout(self.attention(self.norm_attention(values), context))
        near = self.dropout(self.gating(self.norm_gating(values), context.valid))
        both = torch.cat([far, near], dim=-1)
        values = values + self.dropout(self.merge(both + self.mix(both, context.valid)))
        if self.feed_forward is not None and self.norm_feed_forward is not None:
            change = self.dropout(self.feed_forward(self.norm_feed_forward(values)))
            values = torch.add(values, change, alpha=self.step)
        return self.norm_out(values)


class EBranchformerEncoder(BlockEncoder):
    """E-Branchformer (Kim et al. 2022, section 3.2 and figure 1, merge with depthwise convolution).

    Args:
        config: Sizes and options.
        input_size: Number of features.
    """

    def __init__(self, config: EBranchformerConfig, *, input_size: int) -> None:
        super().__init__(
            config,
            input_layer(config.input_layer, input_size, config.output_size, config.stack, config.dropout),
            [EBranchformerBlock(config) for _ in range(config.num_blocks)],
        )
