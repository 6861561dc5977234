"""Reading audio files: wav, flac, ogg, mp3 through soundfile, NIST Sphere by our own reader.

The rate and the channels that a caller wants are always stated; a file that differs is an error unless the
caller said how to convert it. Every error names the utterance, the file and, where known, the manifest line.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data import sphere
from espnet3_core.errors import UserError

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


@dataclass(frozen=True)
class Origin:
    """Whose audio is read, for messages.

    Attributes:
        path: The audio file.
        utterance: Utterance id.
        place: ``file:line`` of the manifest.
    """

    path: str
    utterance: str | None = None
    place: str | None = None

    def error(self, problem: str, hint: str | None = None) -> UserError:
        """The error ``<place>: utterance '<id>': <path> <problem>``."""
        head = f"{self.place}: " if self.place else ""
        name = f"utterance {self.utterance!r}: " if self.utterance is not None else ""
        return UserError(f"{head}{name}{self.path} {problem}", hint=hint)


@contextmanager
def _explained(origin: Origin) -> Iterator[None]:
    """Turn what soundfile, the Sphere reader or the system raise into a message."""
    import soundfile

    path = origin.path
    try:
        yield
    except PermissionError as error:
        raise origin.error("may not be read", "change its permissions") from error
    except (OSError, RuntimeError, soundfile.SoundFileError, sphere.SphereError) as error:
        if not os.path.exists(path):
            raise origin.error(
                "does not exist",
                "check it; a relative path starts from the manifest's folder, or from the dataset's `root`",
            ) from error
        if os.path.isdir(path):
            raise origin.error("is a folder, not an audio file") from error
        if not os.access(path, os.R_OK):
            raise origin.error("may not be read", "change its permissions") from error
        if os.path.getsize(path) == 0:
            raise origin.error("is empty (0 bytes)", "copy it again, or leave the utterance out") from error
        if isinstance(error, sphere.SphereError):
            raise origin.error(str(error), "convert it, copy it again, or leave the utterance out") from error
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise origin.error(
            f"cannot be decoded: {reason}",
            "it is damaged, cut off, or not audio: copy it again or leave it out",
        ) from error


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
    with _explained(origin):
        if not _own_reader(origin.path):
            try:
                with soundfile.SoundFile(origin.path) as file:
                    if file.format != "NIST":
                        _check_sizes(file, origin)
                        return AudioInfo(file.samplerate, file.channels, file.frames)
            except soundfile.SoundFileError:
                if not os.path.isfile(origin.path) or not sphere.is_sphere(origin.path):
                    raise
        header = sphere.read_header(origin.path)
        return AudioInfo(header.rate, header.channels, header.frames)


def _check_sizes(file: Any, origin: Origin, content: bytes | None = None) -> None:
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
            )
    elif file.format == "OGG" and not _ogg_complete(_tail(origin.path) if content is None else content):
        raise origin.error(
            "is truncated: its last page is not marked as the end of the stream",
            "copy or encode it again, or leave the utterance out",
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
        )
    if last <= first and info.frames:
        raise origin.error(f"has a segment without length: from {start:g} s to {end:g} s")
    return first, min(last, info.frames)


def _samples(
    file: Any, start: float, end: float | None, origin: Origin, content: bytes | None = None
) -> tuple[Samples, AudioInfo]:
    """Samples of a segment of what soundfile has opened."""
    _check_sizes(file, origin, content)
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
        )
    if file.subtype in ("FLOAT", "DOUBLE") and not np.isfinite(samples).all():
        raise origin.error("holds samples that are not finite numbers")
    return samples, info


def _decode(path: str, start: float, end: float | None, origin: Origin) -> tuple[Samples, AudioInfo]:
    """Samples (frames, channels) or (frames,) of a segment as stored in the file."""
    import soundfile

    if not _own_reader(path):
        try:
            with soundfile.SoundFile(path) as file:
                if file.format != "NIST":
                    return _samples(file, start, end, origin)
        except soundfile.SoundFileError:
            if not os.path.isfile(path) or not sphere.is_sphere(path):
                raise
    header = sphere.read_header(path)
    info = AudioInfo(header.rate, header.channels, header.frames)
    return sphere.read_frames(path, header, *_span(info, start, end, origin)), info


def _mono(samples: Samples, policy: ChannelPolicy | int, origin: Origin) -> Samples:
    count = 1 if samples.ndim == 1 else samples.shape[1]
    if isinstance(policy, int):
        if policy >= count:
            raise origin.error(f"has {count} channels; channel {policy} (counted from 0) was asked for")
        return samples if samples.ndim == 1 else np.ascontiguousarray(samples[:, policy])
    if samples.ndim == 1:
        return samples
    if count == 1 or policy == "first":
        return np.ascontiguousarray(samples[:, 0])
    if policy == "reject":
        raise origin.error(
            f"has {count} channels, and one is wanted",
            "set `channels: first` or `channels: mean` on the dataset to say which",
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
    with _explained(origin):
        samples, info = _decode(origin.path, start, end, origin)
    return _wanted(samples, info, origin, sample_rate, channels, resample)


def decode_audio(
    content: bytes,
    name: str,
    *,
    sample_rate: int | None,
    channels: ChannelPolicy | int = "reject",
    resample: ResamplePolicy = "reject",
    utterance: str | None = None,
) -> Samples:
    """Decode the bytes of an audio file as :func:`read_audio` does a file.

    Args:
        content: The whole file.
        name: What to call it in messages.
        sample_rate: Rate wanted in Hz; None takes the file's own.
        channels: What to do with several channels.
        resample: What to do with another rate.
        utterance: Utterance id, for messages.

    Raises:
        UserError: It cannot be decoded, or is not as wanted.
    """
    origin = Origin(name, utterance)
    with _opened(content, origin) as file:
        samples, info = _samples(file, 0.0, None, origin, content)
    return _wanted(samples, info, origin, sample_rate, channels, resample)


@contextmanager
def _opened(content: bytes, origin: Origin) -> Iterator[Any]:
    import soundfile

    if not content:
        raise origin.error("is empty (0 bytes)", "make the shard again, or leave the utterance out")
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            yield file
    except (RuntimeError, soundfile.SoundFileError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise origin.error(
            f"cannot be decoded: {reason}", "it is damaged, cut off, or of a format that shards cannot hold"
        ) from error


def content_info(content: bytes, name: str, utterance: str | None = None) -> AudioInfo:
    """Rate, channels and length from the bytes of an audio file, as :func:`audio_info` of a file."""
    origin = Origin(name, utterance)
    with _opened(content, origin) as file:
        _check_sizes(file, origin, content)
        return AudioInfo(file.samplerate, file.channels, file.frames)


def _wanted(
    samples: Samples,
    info: AudioInfo,
    origin: Origin,
    sample_rate: int | None,
    channels: ChannelPolicy | int,
    resample: ResamplePolicy,
) -> Samples:
    """Samples as mono at the rate that is wanted."""
    if len(samples) == 0:
        raise origin.error("holds no samples", "leave the utterance out")
    samples = _mono(samples, channels, origin)
    if sample_rate is None or info.rate == sample_rate:
        return samples
    if resample == "reject":
        raise origin.error(
            f"is sampled at {info.rate} Hz, but the recipe's sample_rate is {sample_rate} Hz",
            f"set `resample: soxr` on the dataset to convert it, or `dataset.sample_rate: {info.rate}`",
        )
    return _resample(samples, info.rate, sample_rate)


_resample = resample
