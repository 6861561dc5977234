"""Other people's models, where they are installed: recognisers, a speaker encoder, a quality predictor."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from espnet3_core.data.audio import resample
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from numpy.typing import NDArray

from espnet3_tts.metrics.config import IntelligibilityConfig, JudgeConfig

RATE = 16000
"""Rate in Hz that all of them take."""


class Absent(Exception):
    """A judge is not installed.

    Args:
        install: The line that installs it.
    """

    def __init__(self, install: str) -> None:
        super().__init__(install)
        self.install = install


def require(module: str, install: str) -> None:
    """Raise :class:`Absent` unless a module can be imported."""
    found = None
    with contextlib.suppress(ImportError, ValueError):
        found = find_spec(module)
    if found is None:
        raise Absent(install)


def asked(config: JudgeConfig, name: str, make: Callable[[], Any]) -> tuple[Any, str | None]:
    """A judge, or None and the line that installs it.

    Raises:
        UserError: It is absent, and the configuration asks for it.
    """
    try:
        return make(), None
    except Absent as absent:
        if config.if_absent == "error":
            raise UserError(f"{name}: its judge is not installed", hint=absent.install) from None
        return None, absent.install


def at_rate(audio: Audio) -> NDArray[np.float32]:
    """Samples at the judges' rate."""
    samples = np.asarray(audio.samples, np.float32)
    if audio.sample_rate == RATE:
        return samples
    return np.asarray(resample(samples, audio.sample_rate, RATE), np.float32)


def recogniser(config: IntelligibilityConfig, recipe_dir: Path | None) -> Callable[[Audio], str]:
    """Audio to text, by our bundle or by Whisper.

    Raises:
        Absent: faster-whisper is not installed.
    """
    if config.bundle is not None:
        from espnet3_core.bundle.load import load

        model = load((recipe_dir or Path()) / Path(config.bundle).expanduser(), device="cpu")
        return lambda audio: str(model(np.asarray(audio.samples), sample_rate=audio.sample_rate).text)
    require("faster_whisper", "pip install faster-whisper")
    from faster_whisper import WhisperModel

    whisper = WhisperModel(config.whisper, device="cpu", compute_type="int8")

    def transcribe(audio: Audio) -> str:
        segments, _ = whisper.transcribe(at_rate(audio), language=config.language, beam_size=5)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def speaker_encoder() -> Callable[[Audio], NDArray[np.float64]]:
    """Audio to an embedding of length 1 (Wan et al. 2018, by resemblyzer).

    Raises:
        Absent: resemblyzer is not installed.
    """
    require("resemblyzer", "pip install resemblyzer")
    from resemblyzer import VoiceEncoder, preprocess_wav

    encoder = VoiceEncoder("cpu", verbose=False)

    def embed(audio: Audio) -> NDArray[np.float64]:
        return np.asarray(encoder.embed_utterance(preprocess_wav(at_rate(audio))), np.float64)

    return embed


def dnsmos() -> Callable[[Audio], float]:
    """Audio to the overall score, from 1 to 5, of DNSMOS P.835 (Reddy et al. 2022, by speechmos).

    Raises:
        Absent: speechmos is not installed.
    """
    require("speechmos", "pip install speechmos")
    from speechmos import dnsmos as judge

    def score(audio: Audio) -> float:
        samples = np.clip(at_rate(audio), -1.0, 1.0)
        return float(judge.run(samples, RATE)["ovrl_mos"])

    return score
