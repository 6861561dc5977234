"""Configuration of the encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_core.errors import UserError
from espnet3_speech.encoders.config import TransformerConfig


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
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise UserError(f"kernels are odd numbers, not {list(self.kernels)}")
