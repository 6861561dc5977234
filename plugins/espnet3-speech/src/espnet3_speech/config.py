"""Configurations of losses."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_speech.ranges import check_shares


@dataclass(kw_only=True)
class CTCConfig:
    """Connectionist temporal classification (``speech/ctc``)."""

    dropout: float = 0.0
    """Dropout of hidden vectors before the output layer."""

    def __post_init__(self) -> None:
        check_shares(self, "dropout")
