"""Configuration of ``asr/ctc_attention``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from espnet3_core.component import Component, Slot

from espnet3_asr.models.config import CTCLossConfig


@dataclass(kw_only=True)
class CTCAttentionConfig(CTCLossConfig):
    """An encoder trained with CTC and an attention decoder."""

    decoder: Annotated[Component, Slot("module", "decoder")] = field(
        default_factory=lambda: Component(name="speech/transformer_decoder", slot=Slot("module", "decoder"))
    )
    """Tokens so far and encoder output to the next token."""
    ctc_weight: float = 0.3
    """Share of the CTC loss; the attention loss has the rest."""
    label_smoothing: float = 0.1
    """Probability that the attention loss spreads over the other tokens."""
