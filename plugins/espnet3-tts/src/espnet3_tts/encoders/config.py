"""Configuration of the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_core.errors import UserError
from espnet3_speech.encoders.config import Act, TransformerConfig
from espnet3_speech.ranges import check_shares, check_sizes


@dataclass(kw_only=True)
class FeedForwardTransformerConfig(TransformerConfig):
    """Transformer blocks with convolutions (``tts/fft``); the defaults are FastSpeech 2's."""

    output_size: int = 256
    """Dimensions of the hidden vectors."""
    attention_heads: int = 2
    """Attention heads per block."""
    linear_units: int = 1024
    """Channels between the two convolutions."""
    num_blocks: int = 4
    """Number of blocks."""
    kernels: tuple[int, int] = (9, 1)
    """Kernels of the two convolutions, odd."""
    input_layer: Literal["linear", "identity"] = "identity"
    """``identity`` takes vectors of the encoder's own size, ``linear`` of any other."""
    dropout: float = 0.1
    """Dropout of sublayer outputs and between the convolutions."""
    positional_dropout: float = 0.0
    """Dropout of the input of the first block."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_kernels(self.kernels)


@dataclass(kw_only=True)
class WindowedTransformerConfig:
    """Transformer with learned relative positions (``tts/windowed``); the defaults are those of VITS."""

    output_size: int = 192
    """Dimensions of the hidden vectors, in and out."""
    attention_heads: int = 2
    """Attention heads per block."""
    linear_units: int = 768
    """Channels between the two convolutions."""
    num_blocks: int = 6
    """Number of blocks."""
    kernels: tuple[int, int] = (3, 3)
    """Kernels of the two convolutions, odd."""
    window: int = 4
    """Tokens to each side whose distance is learned; further ones are all alike."""
    activation: Act = "relu"
    """Between the convolutions."""
    dropout: float = 0.1
    """Dropout of attention weights, of sublayer outputs, and between the convolutions."""

    def __post_init__(self) -> None:
        check_sizes(self, "output_size", "attention_heads", "linear_units", "num_blocks", "window")
        check_shares(self, "dropout")
        _check_kernels(self.kernels)


def _check_kernels(kernels: tuple[int, int]) -> None:
    if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        raise UserError(f"kernels are odd numbers, not {list(kernels)}")
