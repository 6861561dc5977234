"""Reading audio files: wav, flac, ogg, mp3 through soundfile, NIST Sphere by our own reader.

The rate and the channels that a caller wants are always stated; a file that differs is an error unless the
caller said how to convert it. Every error names the utterance, the file and, where known, the manifest line.
"""

from __future__ import annotations

import os
import re
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data import sphere
from espnet3_core.data.origin import Origin, explained

AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au", ".w64", *sphere.SUFFIXES}
)
"""Suffixes that a folder of audio is searched for."""

OVERSHOOT = 0.5
"""Seconds by which a segment may end beyond its file; Kaldi's extract-segments allows as much."""

Samples = NDArray[np.float32]
ChannelPolicy = Literal["reject", "first", "mean"]
ResamplePolicy = Literal["reject", "soxr"]

_OPEN_ENDED = 0x7FFFF000
_MOST_FRAMES = 1 << 48
_SIZED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_SIZED_FORMATS = frozenset({"WAV", "WAVEX", "AIFF", "AU", "W64", "RF64"})
_MP3_SLACK = 2 * 1152


class AudioInfo(NamedTuple):
    """What a file's header says.

    Attributes:
        rate: Samples per second, in Hz.
        channels: Number of channels.
        frames: Samples per channel.
    """

    rate: int
    channels: int
    frames: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.frames / self.rate


def _own_reader(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in sphere.SUFFIXES


def audio_info(
    path: str | os.PathLike[str], *, utterance: str | None = None, place: str | None = None
) -> AudioInfo:
    """Rate, channels and length of a file, from its header only.

    Args:
        path: Audio file.
        utterance: Utterance id, for messages.
        place: ``file:line`` of the manifest, for messages.

    Raises:
        UserError: The file is missing, empty, or not audio.
    """
    import soundfile

    origin = Origin(os.fspath(path), utterance, place)
    with explained(origin):
        if not _own_reader(origin.path):
            try:
                with soundfile.SoundFile(origin.path) as file:
                    if file.format != "NIST":
                        check_sizes(file, origin)
                        return AudioInfo(file.samplerate, file.channels, file.frames)
            except soundfile.SoundFileError:
                if not os.path.isfile(origin.path) or not sphere.is_sphere(origin.path):
                    raise
        header = sphere.read_header(origin.path)
        return AudioInfo(header.rate, header.channels, header.frames)


def check_sizes(file: Any, origin: Origin, content: bytes | None = None) -> None:
    """Refuse a file that is shorter than its header says; libsndfile would read what there is."""
    if file.frames > _MOST_FRAMES:
        raise origin.error(
            "does not state its length (it was written to a pipe)",
            "write it again to a file, for example with `flac` or `sox`",
        )
    if file.format in _SIZED_FORMATS:
        match = _SIZED.search(file.extra_info)
        if match and int(match[2]) + 8 < int(match[1]) < _OPEN_ENDED:
            raise origin.error(
                f"is truncated: its header promises {match[1]} bytes of audio, it holds {match[2]}",
                "copy it again, or leave the utterance out",
                "truncated",
            )
    elif file.format == "OGG" and not _ogg_complete(_tail(origin.path) if content is None else content):
        raise origin.error(
            "is truncated: its last page is not marked as the end of the stream",
            "copy or encode it again, or leave the utterance out",
            "truncated",
        )


def _tail(path: str) -> bytes:
    """The end of a file, with at least one whole Ogg page (at most 65,307 bytes, RFC 3533)."""
    with open(path, "rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 65_307))
        return stream.read()


def _ogg_complete(tail: bytes) -> bool:
    """Whether the last Ogg page carries the end-of-stream flag."""
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - 5 and bool(tail[page + 5] & 4)


def _span(info: AudioInfo, start: float, end: float | None, origin: Origin) -> tuple[int, int]:
    """Frames of a segment given in seconds."""
    first = round(start * info.rate)
    last = info.frames if end is None else round(end * info.rate)
    if first < 0 or first >= max(info.frames, 1) or last > info.frames + OVERSHOOT * info.rate:
        shown = "its end" if end is None else f"{end:g} s"
        raise origin.error(
            f"lasts {info.seconds:.3f} s, but the segment runs from {start:g} s to {shown}",
            "correct the start and end of the utterance; they are in seconds",
            "segment",
        )
    if last <= first and info.frames:
        raise origin.error(f"has a segment without length: from {start:g} s to {end:g} s", kind="segment")
    return first, min(last, info.frames)


def samples_of(
    file: Any, start: float, end: float | None, origin: Origin, content: bytes | None = None
) -> tuple[Samples, AudioInfo]:
    """Samples of a segment of what soundfile has opened."""
    check_sizes(file, origin, content)
    info = AudioInfo(file.samplerate, file.channels, file.frames)
    first, last = _span(info, start, end, origin)
    if first:
        file.seek(first)
    samples: Samples = file.read(last - first, dtype="float32")
    slack = _MP3_SLACK if file.format == "MP3" else 0
    if len(samples) + slack < last - first:
        raise origin.error(
            f"is truncated: {last - first} samples expected, {len(samples)} decoded",
            "copy it again, or leave the utterance out",
            "truncated",
        )
    if file.subtype in ("FLOAT", "DOUBLE") and not np.isfinite(samples).all():
        raise origin.error("holds samples that are not finite numbers", kind="not finite")
    return samples, info


def _decode(path: str, start: float, end: float | None, origin: Origin) -> tuple[Samples, AudioInfo]:
    """Samples (frames, channels) or (frames,) of a segment as stored in the file."""
    import soundfile

    if not _own_reader(path):
        try:
            with soundfile.SoundFile(path) as file:
                if file.format != "NIST":
                    return samples_of(file, start, end, origin)
        except soundfile.SoundFileError:
            if not os.path.isfile(path) or not sphere.is_sphere(path):
                raise
    header = sphere.read_header(path)
    info = AudioInfo(header.rate, header.channels, header.frames)
    return sphere.read_frames(path, header, *_span(info, start, end, origin)), info


def decode(path: str, start: float = 0.0, end: float | None = None) -> tuple[Samples, AudioInfo]:
    """Samples of a segment as they are stored: of any rate, (frames,) or (frames, channels).

    Raises:
        AudioError: The file is missing, empty, damaged or cut off, or the segment lies outside it.
    """
    origin = Origin(path)
    with explained(origin):
        samples, info = _decode(path, start, end, origin)
    if len(samples) == 0:
        raise origin.error("holds no samples", "leave the utterance out", "empty")
    return samples, info


def _mono(samples: Samples, policy: ChannelPolicy | int, origin: Origin) -> Samples:
    count = 1 if samples.ndim == 1 else samples.shape[1]
    if isinstance(policy, int):
        if policy >= count:
            raise origin.error(
                f"has {count} channels; channel {policy} (counted from 0) was asked for", kind="channels"
            )
        return samples if samples.ndim == 1 else np.ascontiguousarray(samples[:, policy])
    if samples.ndim == 1:
        return samples
    if count == 1 or policy == "first":
        return np.ascontiguousarray(samples[:, 0])
    if policy == "reject":
        raise origin.error(
            f"has {count} channels, and one is wanted",
            "set `channels: first` or `channels: mean` on the dataset to say which",
            "channels",
        )
    mean: Samples = samples.mean(axis=1, dtype=np.float32)
    return mean


def resample(samples: Samples, source: float, target: float) -> Samples:
    """Change the sampling rate with soxr (high quality, linear phase).

    Args:
        samples: Shape (samples,).
        source: Rate of ``samples`` in Hz.
        target: Rate wanted in Hz.

    Returns:
        Shape (about samples * target / source,), float32.
    """
    import soxr

    changed: Samples = soxr.resample(np.asarray(samples, np.float32), source, target, quality="HQ")
    return changed


def read_audio(
    path: str | os.PathLike[str],
    start: float = 0.0,
    end: float | None = None,
    *,
    sample_rate: int | None,
    channels: ChannelPolicy | int = "reject",
    resample: ResamplePolicy = "reject",
    utterance: str | None = None,
    place: str | None = None,
) -> Samples:
    """Read one utterance as mono float32 at a stated rate.

    Args:
        path: Audio file.
        start: Where the utterance begins, in seconds.
        end: Where it ends, in seconds; None for the end of the file.
        sample_rate: Rate wanted in Hz; None takes the file's own.
        channels: What to do with several channels: refuse them, take the first, take their mean, or take
            the one of that number, counted from 0.
        resample: What to do with another rate: refuse it, or convert it with soxr.
        utterance: Utterance id, for messages.
        place: ``file:line`` of the manifest, for messages.

    Returns:
        Samples of shape (samples,), float32, full scale 1.

    Raises:
        UserError: The file is missing, empty, damaged or cut off; its rate or channels differ from what is
            wanted and no conversion was allowed; or the segment lies outside it.
    """
    origin = Origin(os.fspath(path), utterance, place)
    with explained(origin):
        samples, info = _decode(origin.path, start, end, origin)
    return as_wanted(samples, info, origin, sample_rate, channels, resample)


def as_wanted(
    samples: Samples,
    info: AudioInfo,
    origin: Origin,
    sample_rate: int | None,
    channels: ChannelPolicy | int,
    resample: ResamplePolicy,
) -> Samples:
    """Samples as mono at the rate that is wanted."""
    if len(samples) == 0:
        raise origin.error("holds no samples", "leave the utterance out", "empty")
    samples = _mono(samples, channels, origin)
    if sample_rate is None or info.rate == sample_rate:
        return samples
    if resample == "reject":
        raise origin.error(
            f"is sampled at {info.rate} Hz, but the recipe's sample_rate is {sample_rate} Hz",
            f"set `resample: soxr` on the dataset to convert it, or `dataset.sample_rate: {info.rate}`",
            "rate",
        )
    return _resample(samples, info.rate, sample_rate)


_resample = resample
