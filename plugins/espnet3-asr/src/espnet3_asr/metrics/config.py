"""Configuration of the metrics."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_core.measure.config import TextMetricConfig


@dataclass(kw_only=True)
class WordErrorRateConfig(TextMetricConfig):
    """Words are what white space separates."""


@dataclass(kw_only=True)
class CharacterErrorRateConfig(TextMetricConfig):
    """Characters are Unicode code points."""

    spaces: bool = True
    """Count the space between words as a character."""


@dataclass(kw_only=True)
class TokenErrorRateConfig(TextMetricConfig):
    """Tokens are those of the experiment's tokenizer."""
