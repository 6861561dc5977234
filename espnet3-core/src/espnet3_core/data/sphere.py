"""NIST Sphere files (``.sph``, ``.wv1``): header, linear PCM, mu-law and A-law.

Format: NIST SPHERE file headers, as documented with the SPHERE 2.6 tools; companding: ITU-T G.711.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"NIST_1A"
SUFFIXES = frozenset({".sph", ".sphere", ".wv1", ".wv2", ".nist"})
_CODINGS = {"pcm": "pcm", "linear": "pcm", "ulaw": "ulaw", "mu-law": "ulaw", "mulaw": "ulaw", "alaw": "alaw"}


class SphereError(ValueError):
    """Why a Sphere file cannot be read; callers add the utterance."""


@dataclass(frozen=True)
class SphereHeader:
    """What a Sphere header says.

    Attributes:
        offset: Bytes before the samples.
        rate: Samples per second and channel, in Hz.
        channels: Interleaved channels.
        frames: Samples per channel.
        coding: ``pcm``, ``ulaw`` or ``alaw``.
        width: Bytes per sample.
        big_endian: Byte order of PCM samples.
    """

    offset: int
    rate: int
    channels: int
    frames: int
    coding: str
    width: int
    big_endian: bool


def is_sphere(path: str) -> bool:
    """Whether a file begins as Sphere files do, whatever its suffix (TIMIT calls them ``.WAV``)."""
    with open(path, "rb") as stream:
        return stream.read(len(MAGIC)) == MAGIC


def _fields(path: str) -> tuple[int, dict[str, str]]:
    with open(path, "rb") as stream:
        first = stream.read(16)
        size = first[8:16].strip()
        if first[:7] != MAGIC or not size.isdigit() or int(size) < 32:
            raise SphereError("is not a Sphere file: it does not begin with NIST_1A and a header size")
        rest = stream.read(int(size) - 16)
    if len(rest) < int(size) - 16:
        raise SphereError("is truncated inside its header")
    fields: dict[str, str] = {}
    for line in rest.decode("latin-1").split("\n"):
        words = line.split(None, 2)
        if words[:1] == ["end_head"]:
            return int(size), fields
        if len(words) == 3 and words[1].startswith("-"):
            fields[words[0]] = words[2].rstrip("\r\0 ")
    raise SphereError("has a damaged header: end_head is missing")


def read_header(path: str) -> SphereHeader:
    """Read and check a header.

    Raises:
        SphereError: The file is not a Sphere file, is truncated, or its samples are compressed.
    """
    offset, fields = _fields(path)
    coding = fields.get("sample_coding", "pcm").lower()
    if "," in coding or coding not in _CODINGS:
        raise SphereError(
            f"holds samples coded as {coding!r}; only pcm, ulaw and alaw can be read: "
            "convert it, for example with `sph2pipe -f wav`"
        )
    try:
        rate, channels = int(fields["sample_rate"]), int(fields.get("channel_count", "1"))
        width = int(fields.get("sample_n_bytes", "2"))
        held = (os.path.getsize(path) - offset) // (width * channels)
        frames = int(fields.get("sample_count", held))
    except (KeyError, ValueError, ZeroDivisionError) as error:
        raise SphereError(f"has a damaged header: {error}") from None
    kind = _CODINGS[coding]
    if min(rate, channels) < 1 or frames < 0 or width not in ((1, 2, 4) if kind == "pcm" else (1,)):
        raise SphereError(f"has a damaged header: rate {rate}, {channels} channels, {width} bytes per sample")
    if held < frames:
        raise SphereError(f"is truncated: its header promises {frames} samples, it holds {held}")
    big_endian = not fields.get("sample_byte_format", "0").startswith("0")
    return SphereHeader(offset, rate, channels, frames, kind, width, big_endian)


@cache
def _table(coding: str) -> NDArray[np.float32]:
    """The 256 sample values of G.711 mu-law or A-law, full scale 1."""
    code = np.arange(256)
    if coding == "ulaw":
        code = ~code & 0xFF
        magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
        sign = np.where(code & 0x80, -1, 1)
    else:
        code = code ^ 0x55
        exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
        magnitude = np.where(exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0))
        sign = np.where(code & 0x80, 1, -1)
    table: NDArray[np.float32] = (sign * magnitude / 32768.0).astype(np.float32)
    return table


def read_frames(path: str, header: SphereHeader, start: int, stop: int) -> NDArray[np.float32]:
    """Read frames ``start`` to ``stop``.

    Returns:
        Samples of shape (frames, channels), full scale 1.
    """
    step = header.width * header.channels
    with open(path, "rb") as stream:
        stream.seek(header.offset + start * step)
        data = stream.read((stop - start) * step)
    if len(data) < (stop - start) * step:
        raise SphereError(f"is truncated: frames {start} to {stop} cannot be read")
    samples: NDArray[np.float32]
    if header.coding != "pcm":
        samples = _table(header.coding)[np.frombuffer(data, np.uint8)]
    elif header.width == 1:
        samples = np.frombuffer(data, np.int8).astype(np.float32) / np.float32(128)
    else:
        kind: Any = np.dtype(f"{'>' if header.big_endian else '<'}i{header.width}")
        scale = np.float32(2.0 ** (8 * header.width - 1))
        samples = np.frombuffer(data, kind).astype(np.float32) / scale
    return samples.reshape(-1, header.channels)
