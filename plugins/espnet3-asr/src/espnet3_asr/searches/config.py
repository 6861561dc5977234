"""Configurations of the searches."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class CTCGreedyConfig:
    """The best CTC path."""

    timestamps: bool = True
    """Add ``words`` and ``token_times`` in seconds."""
