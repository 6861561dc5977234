"""Two recordings of one text, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from numpy.typing import NDArray

from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.metrics.cepstrum import distortion, mel_cepstrum, pair_distances
from espnet3_tts.metrics.config import PitchMetricConfig, SpeechMetricConfig
from espnet3_tts.metrics.dtw import Path, warp

Array = NDArray[np.float64]
NATS_TO_DB = 20.0 / np.log(10.0)


@dataclass(frozen=True)
class Track:
    """Frames of a recording, silence at its edges cut off.

    Attributes:
        cepstrum: ``(frames, coefficients)``.
        f0: ``(frames,)`` Hz, 0 where unvoiced; zeros where it was not asked for.
    """

    cepstrum: Array
    f0: Array


class Analysis:
    """Makes tracks of recordings, and warps one to another.

    Args:
        config: Frames, coefficients, and the range of F0 where it is wanted.
        sample_rate: Of the references; synthetic speech must have it, too.
    """

    def __init__(self, config: SpeechMetricConfig, sample_rate: int | None) -> None:
        if sample_rate is None:
            raise UserError("metrics of speech need training.dataset.sample_rate")
        self.config = config
        self.sample_rate = sample_rate
        self.pitch = isinstance(config, PitchMetricConfig)
        bounds = (
            {"f0_min": config.f0_min, "f0_max": config.f0_max}
            if isinstance(config, PitchMetricConfig)
            else {}
        )
        self.features = Features(
            FeaturesConfig(
                n_fft=config.n_fft,
                window=config.n_fft,
                hop=config.hop,
                n_mels=config.n_mels,
                fmax=min(8000.0, sample_rate / 2),
                **bounds,
            ),
            sample_rate=sample_rate,
        )

    def track(self, samples: NDArray[Any], name: str) -> Track:
        """Frames of a recording.

        Raises:
            UserError: It is shorter than a frame, or silent.
        """
        speech = torch.from_numpy(np.asarray(samples, np.float32).copy())[None]
        if speech.shape[1] < self.config.n_fft:
            raise UserError(
                f"utterance {name!r}: {speech.shape[1]} samples are too few to be measured",
                hint="leave it out of the test set",
            )
        with torch.inference_mode():
            found = self.features(speech, torch.tensor([speech.shape[1]]), pitch=self.pitch)
        level = found.energy[0].double().numpy() * NATS_TO_DB
        loud = np.flatnonzero(level > level.max() - self.config.silence_db)
        kept = slice(loud[0], loud[-1] + 1)
        cepstrum = mel_cepstrum(found.mel[0].double().numpy()[kept], self.config.coefficients)
        f0 = np.zeros(len(cepstrum)) if found.f0 is None else found.f0[0].double().numpy()[kept]
        return Track(cepstrum, f0)

    def compare(self, reference: NDArray[Any], made: Audio, name: str) -> tuple[Track, Track, Path, float]:
        """Tracks of reference and synthetic speech, the path between them, and the distortion in dB.

        Raises:
            UserError: The rates differ, or one of them cannot be measured.
        """
        if made.sample_rate != self.sample_rate:
            raise UserError(
                f"utterance {name!r}: speech at {made.sample_rate} Hz is compared with a reference at "
                f"{self.sample_rate} Hz",
                hint="compare recordings of equal rates",
            )
        first, second = self.track(reference, name), self.track(made.samples, name)
        distances = pair_distances(first.cepstrum, second.cepstrum)
        path = warp(distances)
        return first, second, path, distortion(distances, path)
