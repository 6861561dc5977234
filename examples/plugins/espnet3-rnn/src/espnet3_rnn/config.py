"""Options of the model; imports no torch, so that ``espnet3 show`` and ``check`` are fast."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class RNNCTCConfig:
    """A recurrent CTC recogniser."""

    hidden_size: int = 128
    """Size of each direction of a layer."""
    num_layers: int = 2
    """Recurrent layers."""
    stack: int = 3
    """Frames of features that are joined to one."""
    dropout: float = 0.2
    """Between the layers."""
