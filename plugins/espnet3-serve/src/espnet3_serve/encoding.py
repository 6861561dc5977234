"""Audio to bytes while it comes: wav, flac and pcm, 16 bits, one channel."""

from __future__ import annotations

import io
import struct
from typing import Literal, Protocol

import numpy as np
import soundfile
import soxr
from espnet3_core.data.audio import Samples

Format = Literal["wav", "flac", "pcm"]
MEDIA = {"wav": "audio/wav", "flac": "audio/flac", "pcm": "audio/pcm"}
PCM_RATE = 24_000
"""Hz of the format pcm, which has no header that could tell: what OpenAI's clients expect."""
UNKNOWN = 0xFFFFFFFF


class Encoder(Protocol):
    """Turns samples into the bytes of a file."""

    def encode(self, samples: Samples, last: bool) -> bytes:
        """The bytes that the next samples add; the file is complete after the last ones."""


def encoder_of(form: Format, sample_rate: int) -> Encoder:
    """An encoder of a format.

    Args:
        form: The format.
        sample_rate: Of the samples, in Hz.
    """
    match form:
        case "wav":
            return _Wav(sample_rate)
        case "flac":
            return _Flac(sample_rate)
        case "pcm":
            return _Pcm(sample_rate)


class _Wav:
    """RIFF with a header that tells the length when all samples come at once, else that it is not known."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._begun = False

    def encode(self, samples: Samples, last: bool) -> bytes:
        body = _to_16_bit(samples)
        head = b"" if self._begun else self._header(len(body) if last else None)
        self._begun = True
        return head + body

    def _header(self, size: int | None) -> bytes:
        whole, data = (UNKNOWN, UNKNOWN) if size is None else (36 + size, size)
        form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, self._rate, 2 * self._rate, 2, 16)
        return struct.pack("<4sI4s", b"RIFF", whole, b"WAVE") + form + struct.pack("<4sI", b"data", data)


class _Flac:
    """FLAC (RFC 9639); its header tells the length when all samples come at once."""

    def __init__(self, sample_rate: int) -> None:
        self._stream = io.BytesIO()
        self._file = soundfile.SoundFile(self._stream, "w", sample_rate, 1, "PCM_16", format="FLAC")
        self._sent = 0

    def encode(self, samples: Samples, last: bool) -> bytes:
        self._file.write(np.clip(samples, -1, 1))
        if last:
            self._file.close()
        found = self._stream.getvalue()[self._sent :]
        self._sent += len(found)
        return found


class _Pcm:
    """Samples alone, little-endian, at :data:`PCM_RATE`."""

    def __init__(self, sample_rate: int) -> None:
        same = sample_rate == PCM_RATE
        self._converter = None if same else soxr.ResampleStream(sample_rate, PCM_RATE, 1, dtype="float32")

    def encode(self, samples: Samples, last: bool) -> bytes:
        if self._converter is not None:
            samples = self._converter.resample_chunk(samples, last=last)
        return _to_16_bit(samples)


def _to_16_bit(samples: Samples) -> bytes:
    return np.round(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
