"""Configuration that metrics share."""

from __future__ import annotations

from dataclasses import dataclass, field

from espnet3_core.errors import UserError
from espnet3_core.measure.normalizers import check_name


@dataclass(kw_only=True)
class IntervalConfig:
    """A bootstrap confidence interval of a pooled rate."""

    resamples: int = 1000
    """How often the test set is drawn again."""
    level: float = 95.0
    """Confidence in percent."""
    by: str = "utterance"
    """What is drawn, with replacement: ``utterance``, or a field of the test set whose equal values belong
    together (``speaker``, ``recording``). A field that names one thing per reference word (as a list, or
    separated by spaces) attributes every error to the thing of its word."""
    seed: int = 0
    """Seed of the draws."""

    def __post_init__(self) -> None:
        if self.resamples < 2:
            raise UserError(f"interval.resamples is {self.resamples}; at least 2 are needed")
        if not 0 < self.level < 100:
            raise UserError(f"interval.level is {self.level}; a percentage between 0 and 100 is needed")


@dataclass(kw_only=True)
class MetricConfig:
    """Base of metric configurations."""

    inputs: dict[str, str] = field(default_factory=dict)
    """Where inputs come from, over the metric's own choice: ``dataset:FIELD`` is a field of the test set,
    ``FIELD`` one of the results."""


@dataclass(kw_only=True)
class TextMetricConfig(MetricConfig):
    """Base of metrics that compare texts."""

    normalizers: list[str] = field(default_factory=list)
    """Applied in order to reference and hypothesis: ``nfc``, ``nfkc``, ``lower``, ``upper``, ``casefold``,
    ``remove_punctuation``, ``collapse_whitespace``, ``remove_spaces``, ``strip_accents``, or a plugin's text
    transform by name."""
    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval; null for none."""

    def __post_init__(self) -> None:
        for name in self.normalizers:
            check_name(name)
