"""Configurations of the metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot
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
class NearestConfig(SpeechMetricConfig):
    """The nearest recording of a dataset (``tts/nearest_mcd``)."""

    among: Annotated[Component, Slot("dataset")]
    """Recordings, such as those of training."""


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
class AlignmentOrderConfig(MetricConfig):
    """Order of tokens in what ``tts/alignment`` found (``tts/alignment_order``)."""

    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval over utterances; null for none."""


@dataclass(kw_only=True)
class RealTimeFactorConfig(MetricConfig):
    """Time of synthesis over duration (``tts/rtf``)."""


@dataclass(kw_only=True)
class JudgeConfig(MetricConfig):
    """What metrics that ask somebody else's model have."""

    if_absent: Literal["skip", "error"] = "skip"
    """Where the judge is not installed: ``skip`` it and say what installs it, or stop with an ``error``."""
    interval: IntervalConfig | None = field(default_factory=IntervalConfig)
    """Confidence interval over utterances; null for none."""


@dataclass(kw_only=True)
class IntelligibilityConfig(JudgeConfig):
    """What a recogniser understands (``tts/wer``, ``tts/cer``)."""

    bundle: str | None = None
    """Packed recogniser of ours, relative to the recipe; None asks Whisper."""
    whisper: str = "tiny.en"
    """Whisper's model, by name or folder, for faster-whisper; by name it is downloaded."""
    language: str = "en"
    """Language that Whisper is told."""
    normalizers: list[str] = field(default_factory=lambda: ["nfkc", "lower", "remove_punctuation"])
    """Applied to both texts, after numbers have been written out in words where the language is English."""


@dataclass(kw_only=True)
class SpeakerSimilarityConfig(JudgeConfig):
    """Cosine of speaker embeddings (``tts/speaker_similarity``)."""


@dataclass(kw_only=True)
class DnsmosConfig(JudgeConfig):
    """DNSMOS (``tts/dnsmos``)."""
