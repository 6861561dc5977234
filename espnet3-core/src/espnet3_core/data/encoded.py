"""Decoding audio files whose bytes are in memory, such as those of a shard."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from espnet3_core.data.audio import (
    AudioInfo,
    ChannelPolicy,
    ResamplePolicy,
    Samples,
    as_wanted,
    check_sizes,
    samples_of,
)
from espnet3_core.data.origin import Origin


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
        samples, info = samples_of(file, 0.0, None, origin, content)
    return as_wanted(samples, info, origin, sample_rate, channels, resample)


@contextmanager
def _opened(content: bytes, origin: Origin) -> Iterator[Any]:
    import soundfile

    if not content:
        raise origin.error("is empty (0 bytes)", "make the shard again, or leave the utterance out", "empty")
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
        check_sizes(file, origin, content)
        return AudioInfo(file.samplerate, file.channels, file.frames)
