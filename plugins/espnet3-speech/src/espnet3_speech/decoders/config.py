"""Configurations of the decoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_speech.ranges import check_shares, check_sizes


@dataclass(kw_only=True)
class TransformerDecoderConfig:
    """Transformer decoder (``speech/transformer_decoder``); its size is the encoder's."""

    attention_heads: int = 4
    """Attention heads per block."""
    linear_units: int = 2048
    """Dimensions inside the feed-forward networks."""
    num_blocks: int = 6
    """Number of blocks."""
    activation: Literal["relu", "swish", "gelu"] = "relu"
    """Activation of the feed-forward networks."""
    dropout: float = 0.1
    """Dropout of sublayer outputs and inside feed-forward networks."""
    positional_dropout: float = 0.1
    """Dropout of token embeddings with positions."""
    self_attention_dropout: float = 0.0
    """Dropout of attention weights over tokens."""
    cross_attention_dropout: float = 0.0
    """Dropout of attention weights over encoder frames."""

    def __post_init__(self) -> None:
        check_sizes(self, "attention_heads", "linear_units", "num_blocks")
        check_shares(
            self, "dropout", "positional_dropout", "self_attention_dropout", "cross_attention_dropout"
        )
