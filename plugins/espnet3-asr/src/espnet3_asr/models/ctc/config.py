"""Configuration of ``asr/ctc``."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_asr.models.config import CTCLossConfig


@dataclass(kw_only=True)
class CTCConfig(CTCLossConfig):
    """An encoder trained with CTC alone."""
