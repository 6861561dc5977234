"""Synthetic speech beside a recording of the same text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from espnet3_core.measure.metric import Ratio

from espnet3_tts.metrics.base import PooledMetric
from espnet3_tts.metrics.comparison import Analysis
from espnet3_tts.metrics.config import (
    DurationMetricConfig,
    PitchMetricConfig,
    RealTimeFactorConfig,
    SpeechMetricConfig,
)


class MelCepstralDistortion(PooledMetric):
    """Distance of mel cepstra along the best warping path, in dB (Kubichek 1993), mean over utterances.

    Cepstra are cosine transforms of the log-mel spectrum (not of a spectral envelope, as SPTK's are):
    figures are to be compared with those of this metric only. The zeroth coefficient does not count.

    Args:
        config: Frames and coefficients.
        sample_rate: Of the references.
    """

    key = "mcd"

    def __init__(self, config: SpeechMetricConfig, *, sample_rate: int | None) -> None:
        super().__init__(config)
        self.analysis = Analysis(config, sample_rate)

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` samples and ``audio``."""
        for name, reference, made in zip(ids, values["reference"], values["audio"], strict=True):
            self.add(name, self.analysis.compare(reference, made, name)[3], 1.0)

    def provenance(self) -> dict[str, Any]:
        """Which coefficients count."""
        return {"coefficients": f"1 to {self.config.coefficients}", "cepstrum": "DCT of log-mel, DTW"}


class PitchMetric(PooledMetric):
    """Base of metrics of F0: pairs of frames along the warping path."""

    def __init__(self, config: PitchMetricConfig, *, sample_rate: int | None) -> None:
        super().__init__(config)
        self.analysis = Analysis(config, sample_rate)

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` samples and ``audio``."""
        for name, reference, made in zip(ids, values["reference"], values["audio"], strict=True):
            first, second, path, _ = self.analysis.compare(reference, made, name)
            self.pairs(name, first.f0[path[:, 0]], second.f0[path[:, 1]])

    def pairs(self, name: str, wanted: np.ndarray, found: np.ndarray) -> None:
        """Take in F0 of paired frames, 0 where unvoiced."""
        raise NotImplementedError


class PitchError(PitchMetric):
    """Root mean square error of F0 in Hz, over pairs of frames that are voiced in both."""

    key = "f0_rmse"

    def pairs(self, name: str, wanted: np.ndarray, found: np.ndarray) -> None:
        """Sum of squares, and number of pairs."""
        both = (wanted > 0) & (found > 0)
        self.add(name, float(((wanted - found)[both] ** 2).sum()), float(both.sum()))

    def finish(self, ratio: float) -> float:
        """The root."""
        return math.sqrt(ratio)

    def ratio(self) -> Ratio | None:
        """None: the score is a root."""
        return None


class PitchCorrelation(PitchMetric):
    """Pearson's correlation of F0 over pairs that are voiced in both, mean over utterances."""

    key = "f0_correlation"
    better = "higher"

    def pairs(self, name: str, wanted: np.ndarray, found: np.ndarray) -> None:
        """The utterance's correlation; without variation or with less than three pairs it has none."""
        both = (wanted > 0) & (found > 0)
        first, second = wanted[both], found[both]
        if len(first) < 3 or not first.std() or not second.std():
            self.add(name, 0.0, 0.0)
        else:
            self.add(name, float(np.corrcoef(first, second)[0, 1]), 1.0)


class VoicingError(PitchMetric):
    """Share of paired frames that are voiced in one recording and not in the other, in percent."""

    key = "voicing_error"
    scale = 100.0

    def pairs(self, name: str, wanted: np.ndarray, found: np.ndarray) -> None:
        """Frames that differ, and all."""
        self.add(name, float(((wanted > 0) != (found > 0)).sum()), float(len(wanted)))


class DurationError(PooledMetric):
    """Absolute difference of durations without silence at the edges, in percent of the references' duration.

    Args:
        config: What counts as silence.
        sample_rate: Of the references.
    """

    key = "duration_error"
    scale = 100.0

    def __init__(self, config: DurationMetricConfig, *, sample_rate: int | None) -> None:
        super().__init__(config)
        # Short windows, which do not smear the edges.
        frames = SpeechMetricConfig(n_fft=256, hop=128, n_mels=20, silence_db=config.silence_db)
        self.analysis = Analysis(frames, sample_rate)

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` samples and ``audio``."""
        rate = self.analysis.sample_rate
        hop = self.analysis.config.hop
        for name, reference, made in zip(ids, values["reference"], values["audio"], strict=True):
            first = len(self.analysis.track(reference, name).f0) * hop / rate
            second = len(self.analysis.track(made.samples, name).f0) * hop / rate
            self.add(name, abs(first - second), first, reference_seconds=first, seconds=second)


class RealTimeFactor(PooledMetric):
    """Seconds of computation per second of speech, as the results tell."""

    inputs: ClassVar = {"rtf": "rtf", "duration": "duration"}
    key = "rtf"

    def __init__(self, config: RealTimeFactorConfig) -> None:
        super().__init__(config)

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Take in factors and durations of the results."""
        for name, factor, seconds in zip(ids, values["rtf"], values["duration"], strict=True):
            self.add(name, (factor or 0.0) * seconds, seconds if factor is not None else 0.0)
