"""Configurations of the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError

from espnet3_speech.ranges import check_shares, check_sizes

Positions = Literal["abs_pos", "rel_pos", "rope", "none"]
Norm = Literal["batch_norm", "layer_norm"]
Act = Literal["relu", "swish", "gelu"]
InputLayer = Literal["conv2d", "conv2d1", "conv2d2", "conv2d6", "conv2d8", "conv1d2", "linear", "stack"]


@dataclass(kw_only=True)
class BlocksConfig:
    """What all attention encoders have."""

    output_size: int = 256
    """Dimensions of the hidden vectors; even, and a multiple of attention_heads."""
    attention_heads: int = 4
    """Attention heads per block."""
    linear_units: int = 2048
    """Dimensions inside the feed-forward networks."""
    num_blocks: int = 6
    """Number of blocks."""
    input_layer: InputLayer = "conv2d"
    """Convolutions that keep 1/4 (conv2d), 1/1, 1/2, 1/6, 1/8 (conv2d1 …) or 1/2 (conv1d2) of the frames;
    ``linear`` keeps all; ``stack`` concatenates frames."""
    stack: int = 4
    """Frames that input_layer ``stack`` concatenates."""
    positions: Positions = "abs_pos"
    """``abs_pos`` adds sinusoids, ``rel_pos`` scores distances (Transformer-XL), ``rope`` rotates."""
    dropout: float = 0.1
    """Dropout of sublayer outputs and inside feed-forward networks."""
    positional_dropout: float = 0.1
    """Dropout of the input of the first block and of position vectors."""
    attention_dropout: float = 0.0
    """Dropout of attention weights."""
    layer_drop: float = 0.0
    """Probability that an utterance skips a block in training, the same for all blocks."""
    checkpointing: bool = False
    """Compute blocks again in the backward pass instead of keeping their insides: slower, less memory."""

    def __post_init__(self) -> None:
        check_sizes(self, "output_size", "attention_heads", "linear_units", "num_blocks", "stack")
        check_shares(self, "dropout", "positional_dropout", "attention_dropout", "layer_drop")


@dataclass(kw_only=True)
class TransformerConfig(BlocksConfig):
    """Transformer (``speech/transformer``)."""

    activation: Act = "relu"
    """Activation of the feed-forward networks."""


@dataclass(kw_only=True)
class ConformerConfig(BlocksConfig):
    """Conformer (``speech/conformer``)."""

    num_blocks: int = 12
    """Number of blocks."""
    linear_units: int = 1024
    """Dimensions inside the feed-forward networks."""
    positions: Positions = "rel_pos"
    """``abs_pos`` adds sinusoids, ``rel_pos`` scores distances (Transformer-XL), ``rope`` rotates."""
    activation: Act = "swish"
    """Activation of feed-forward networks and convolution modules."""
    macaron: bool = True
    """A half-step feed-forward network before the attention, too."""
    use_convolution: bool = True
    """Whether blocks have a convolution module."""
    conv_kernel: int = 31
    """Frames of the depthwise convolution, odd."""
    conv_norm: Norm = "batch_norm"
    """Normalization after the depthwise convolution; batch_norm leaves padding out."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "conv_kernel")


@dataclass(kw_only=True)
class FastConformerConfig(ConformerConfig):
    """Conformer with 8x depthwise-separable subsampling and short kernels (``speech/fast_conformer``)."""

    conv_kernel: int = 9
    """Frames of the depthwise convolution, odd."""
    subsampling_channels: int = 256
    """Channels of the subsampling convolutions."""
    input_layer: Literal["dw_striding"] = "dw_striding"
    """Depthwise-separable subsampling by 8; nothing else."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "subsampling_channels")


@dataclass(kw_only=True)
class EBranchformerConfig(BlocksConfig):
    """E-Branchformer (``speech/e_branchformer``)."""

    num_blocks: int = 12
    """Number of blocks."""
    linear_units: int = 1024
    """Dimensions inside the feed-forward networks."""
    positions: Positions = "rel_pos"
    """``abs_pos`` adds sinusoids, ``rel_pos`` scores distances (Transformer-XL), ``rope`` rotates."""
    activation: Act = "swish"
    """Activation of the feed-forward networks."""
    use_ffn: bool = True
    """Whether blocks have a feed-forward network after the branches."""
    macaron: bool = True
    """A feed-forward network before the branches, too; both count half."""
    cgmlp_units: int = 1024
    """Dimensions inside the convolutional gating MLP, even."""
    cgmlp_kernel: int = 31
    """Frames of the gate's depthwise convolution, odd."""
    cgmlp_linear_after_conv: bool = False
    """A linear layer after the gate's convolution."""
    gate_activation: Literal["identity", "relu", "swish", "gelu"] = "identity"
    """Activation of the gate."""
    merge_kernel: int = 31
    """Frames of the depthwise convolution that merges the branches, odd."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self, "cgmlp_units", "cgmlp_kernel", "merge_kernel")


@dataclass(kw_only=True)
class RNNConfig:
    """Recurrent encoder (``speech/rnn``)."""

    cell: Literal["gru", "lstm"] = "gru"
    """Kind of recurrent cell."""
    hidden_size: int = 256
    """Units per direction."""
    num_layers: int = 3
    """Number of layers."""
    bidirectional: bool = True
    """Whether layers also run from the end to the beginning."""
    output_size: int | None = None
    """Dimensions after a final linear layer; None for the cells' own output."""
    input_layer: InputLayer | Literal["none"] = "none"
    """``none`` passes features on; ``stack`` concatenates frames, without projection; convolutions and
    ``linear`` bring them to hidden_size dimensions."""
    stack: int = 2
    """Frames that input_layer ``stack`` concatenates."""
    dropout: float = 0.1
    """Dropout of the input and between layers."""

    def __post_init__(self) -> None:
        check_sizes(self, "hidden_size", "num_layers", "output_size", "stack")
        check_shares(self, "dropout")


@dataclass(kw_only=True)
class TDNNConfig:
    """Time-delay neural network (``speech/tdnn``)."""

    hidden_size: int = 256
    """Channels of each layer."""
    num_layers: int = 6
    """Number of layers."""
    kernel_size: int = 5
    """Frames that a convolution sees, odd."""
    stack: int = 3
    """Frames concatenated at the input, which divides the frame rate."""
    dropout: float = 0.1
    """Dropout of each layer's output."""

    def __post_init__(self) -> None:
        check_sizes(self, "hidden_size", "num_layers", "kernel_size", "stack")
        check_shares(self, "dropout")
        if self.kernel_size % 2 == 0:
            raise UserError(f"kernel_size must be odd, not {self.kernel_size}")


@dataclass(kw_only=True)
class ChainConfig:
    """Encoders one after the other (``speech/chain``)."""

    encoders: list[Annotated[Component, Slot("module", "encoder")]]
    """The first reads the features, each other one the output of the one before it."""

    def __post_init__(self) -> None:
        if not self.encoders:
            raise UserError("encoder speech/chain has no encoders", hint="list at least one")
