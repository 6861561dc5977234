"""Configurations of the normalizers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class GlobalMVNConfig:
    """Mean and variance of the training data (``speech/global_mvn``)."""

    norm_means: bool = True
    """Subtract the mean of each dimension."""
    norm_vars: bool = True
    """Divide by the standard deviation of each dimension."""


@dataclass(kw_only=True)
class UtteranceMVNConfig:
    """Mean and variance of each utterance (``speech/utterance_mvn``)."""

    norm_means: bool = True
    """Subtract the mean over the frames of the utterance."""
    norm_vars: bool = False
    """Divide by the standard deviation over the frames of the utterance."""
