"""Configurations of the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field

from espnet3_core.measure.config import IntervalConfig, MetricConfig
from espnet3_speech.ranges import check_sizes


@dataclass(kw_only=True)
class SpeechMetricConfig(MetricConfig):
    """What metrics that compare two recordings have."""

    n_fft: int = 1024
    """Points of the Fourier transform."""
    hop: int = 256
    """Samples from one frame to the next."""
    n_mels: int = 80
    """Mel bands, from 0 Hz to half of the sample rate or 8 kHz, whichever is lower."""
    coefficients: int = 24
    """Mel-cepstral coefficients, from the first on; the zeroth, which is loudness, does not count."""
    silence_db: float = 40.0
    """Frames at the edges that are more than this much below the loudest frame are cut off first."""
    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval over utterances; null for none."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_fft", "hop", "n_mels", "coefficients")


@dataclass(kw_only=True)
class PitchMetricConfig(SpeechMetricConfig):
    """What metrics of the fundamental frequency have."""

    f0_min: float = 60.0
    """Lowest fundamental frequency in Hz."""
    f0_max: float = 500.0
    """Highest fundamental frequency in Hz."""


@dataclass(kw_only=True)
class DurationMetricConfig(MetricConfig):
    """Error of the duration (``tts/duration_error``)."""

    silence_db: float = 40.0
    """Edges that are more than this much below the loudest frame do not count."""
    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval over utterances; null for none."""


@dataclass(kw_only=True)
class RealTimeFactorConfig(MetricConfig):
    """Time of synthesis over duration (``tts/rtf``)."""


@dataclass(kw_only=True)
class JudgeConfig(MetricConfig):
    """What metrics that ask somebody else's model have."""

    if_absent: str = "skip"
    """What to do where the judge is not installed: ``skip`` with the line that installs it, or ``error``."""
    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval over utterances; null for none."""
