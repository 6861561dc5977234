"""Configurations of losses."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class CTCConfig:
    """Connectionist temporal classification (``speech/ctc``)."""

    dropout: float = 0.0
    """Dropout of hidden vectors before the output layer."""
