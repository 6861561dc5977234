"""Uploads: what is decoded, what is refused, and why."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from espnet3_core.data.uploads import READABLE, RefusedUpload, decode_upload


def as_file(seconds: float, rate: int = 8000, channels: int = 1, form: str = "WAV") -> bytes:
    stream = io.BytesIO()
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 200 * time)
    soundfile.write(stream, np.stack([tone] * channels, 1), rate, format=form)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("rate", "channels", "form"), [(8000, 1, "WAV"), (44100, 2, "FLAC"), (48000, 2, "OGG")]
)
def test_audio_becomes_mono_at_the_rate_of_the_model(rate: int, channels: int, form: str) -> None:
    samples = decode_upload(as_file(0.5, rate, channels, form), sample_rate=16000, seconds=1.0)
    assert samples.dtype == np.float32
    assert samples.shape == pytest.approx((8000,), abs=2)
    assert np.abs(np.fft.rfft(samples)).argmax() / 0.5 == pytest.approx(200, abs=2)


@pytest.mark.parametrize(
    ("content", "words", "too_long", "known"),
    [
        (as_file(1.2), "holds 1.2 s of audio in 1 channels at 8000 Hz; at most 1 s are taken", True, True),
        (as_file(0.5, 96000, 8), "holds 0.5 s of audio in 8 channels at 96000 Hz", True, True),
        (as_file(0.5, 8000, 9), "has 9 channels at 8000 Hz; at most 8 channels", False, True),
        (as_file(0.5, 500), "has 1 channels at 500 Hz", False, True),
        (b"", READABLE.replace("(", r"\(").replace(")", r"\)"), False, False),
        (b"Dear madam,", "cannot be decoded", False, False),
        (as_file(0.5)[:100], "truncated", False, False),
    ],
)
def test_what_is_refused_says_why(content: bytes, words: str, too_long: bool, known: bool) -> None:
    with pytest.raises(RefusedUpload, match=words) as error:
        decode_upload(content, sample_rate=8000, seconds=1.0)
    assert error.value.too_long == too_long
    assert (error.value.info is not None) == known
