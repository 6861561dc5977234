"""Uploads: what is not audio, is cut off, or is too much."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile
from espnet3_serve.errors import APIError
from espnet3_serve.limits import Limits
from espnet3_serve.upload import _MemoryParser, decode
from serving_tools import as_file, letters
from starlette.datastructures import Headers

LIMITS = Limits(seconds=10.0)
SPEECH = letters("a quick brown fox")
FORMATS = [("WAV", None), ("WAV", "FLOAT"), ("FLAC", None), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)]


@pytest.mark.parametrize(("form", "subtype"), [*FORMATS, ("AIFF", None), ("AU", None), ("CAF", None)])
def test_formats(form, subtype):
    content = as_file(SPEECH, 8000, form, subtype)
    samples = decode(content, 16000, LIMITS)
    assert samples.dtype == np.float32
    assert samples.ndim == 1
    assert len(samples) == pytest.approx(2 * len(SPEECH), rel=0.3 if form == "MP3" else 0.001)


def status(content: bytes) -> int:
    """What the client is told; any other exception fails the test."""
    try:
        decode(content, 8000, LIMITS)
    except APIError as error:
        return error.status
    return 200


@pytest.mark.parametrize(("form", "subtype"), FORMATS)
def test_every_truncation_is_refused_or_decoded(form, subtype):
    content = as_file(SPEECH, 8000, form, subtype)
    sizes = [*range(0, 200, 7), *range(200, len(content), max(1, len(content) // 60))]
    found = [status(content[:size]) for size in sizes]
    assert set(found) <= {200, 400}
    assert found.count(400) >= 20


def test_flipped_bytes_are_refused_or_decoded():
    rng = np.random.default_rng(0)
    for form, subtype in FORMATS:
        content = as_file(SPEECH, 8000, form, subtype)
        for _ in range(60):
            damaged = np.frombuffer(content, np.uint8).copy()
            places = rng.integers(0, min(len(damaged), int(rng.choice([64, 4096]))), 4)
            damaged[places] = rng.integers(0, 256, 4)
            assert status(damaged.tobytes()) in (200, 400)


def test_headers_that_promise_too_much():
    def wav(channels, rate, data):
        form = struct.pack(
            "<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, 2 * rate * channels, 2 * channels, 16
        )
        return b"RIFF" + struct.pack("<I", 36 + data) + b"WAVE" + form + b"data" + struct.pack("<I", data)

    bodies = {
        "60 channels": wav(60, 8000, 60 * 160) + bytes(60 * 160),
        "7 Hz": wav(1, 7, 160) + bytes(160),
        "is truncated": wav(1, 8000, 2_000_000_000) + bytes(160),
        "holds no samples": wav(1, 8000, 0),
    }
    for message, content in bodies.items():
        with pytest.raises(APIError, match=message):
            decode(content, 8000, LIMITS)


def test_silence_that_would_fill_memory():
    stream = io.BytesIO()
    with soundfile.SoundFile(stream, "w", 8000, 1, format="FLAC") as file:
        for _ in range(60):
            file.write(np.zeros(8000 * 60))
    content = stream.getvalue()
    assert len(content) < 500_000
    with pytest.raises(APIError, match="holds 3600.0 s of audio.*at most 10 s"):
        decode(content, 8000, LIMITS)


def test_a_large_file_never_touches_the_disk():
    import asyncio

    async def stream():
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        for _ in range(64):
            yield bytes(65536)
        yield b"\r\n--x--\r\n"

    headers = Headers({"content-type": "multipart/form-data; boundary=x"})
    form = asyncio.run(_MemoryParser(headers, stream()).parse())
    assert form["file"].size == 64 * 65536
    assert not form["file"].file._rolled
