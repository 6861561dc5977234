"""Log-mel features: 80 bands, windows of 25 ms every 10 ms, 10 s utterances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import inputs
from work import Case, Row, Setting, Work

SECONDS, CALLS = 10, 20
ONE, EIGHT = "batch 1", "batch 8"
SIZES = {"n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 80}


def _work(case: str, function: Callable[[Any, Any], Any]) -> Work:
    import torch

    count = 1 if case == ONE else 8
    speech = torch.from_numpy(inputs.batch(count, SECONDS))
    lengths = torch.full((count,), speech.shape[1])

    def run() -> None:
        with torch.inference_mode():
            for _ in range(CALLS):
                function(speech, lengths)

    return Work(run, CALLS * count * SECONDS, "seconds of audio")


def ours(case: str, setting: Setting) -> Work:
    """``speech/log_mel``."""
    from espnet3_speech.frontends.config import LogMelConfig
    from espnet3_speech.frontends.log_mel import LogMel

    return _work(case, LogMel(LogMelConfig(), sample_rate=inputs.RATE).eval())


def espnet(case: str, setting: Setting) -> Work:
    """ESPnet's default front end."""
    from espnet2.asr.frontend.default import DefaultFrontend

    return _work(case, DefaultFrontend(fs=inputs.RATE, **SIZES))


def torchaudio(case: str, setting: Setting) -> Work:
    """torchaudio's mel spectrogram and a logarithm; it knows no lengths."""
    from torchaudio.transforms import MelSpectrogram

    transform = MelSpectrogram(inputs.RATE, **SIZES)
    return _work(case, lambda speech, lengths: transform(speech).clamp_min(1e-10).log())


ROW = Row(
    title="log-mel features of 10 s utterances",
    cases=(Case(ONE, bar=1.0, repeats=9), Case(EIGHT, bar=1.0, repeats=9)),
    sides={"ours": ours, "espnet": espnet, "torchaudio": torchaudio},
)
