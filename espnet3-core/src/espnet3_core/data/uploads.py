"""Audio that strangers send: decoded in memory and within limits, whatever its name and header say."""

from __future__ import annotations

from espnet3_core.data.audio import AudioInfo, Samples
from espnet3_core.data.encoded import content_info, decode_audio
from espnet3_core.errors import UserError

READABLE = "wav, flac, ogg (Vorbis, Opus), mp3 and aiff are read"
CHANNELS = 8
RATES = (1_000, 384_000)
"""Hz; what lies beyond is not a recording of speech."""
DENSEST = 96_000
"""Samples per second of the longest recording, all channels together: what decoding may fill memory with."""


class RefusedUpload(UserError):
    """An upload that is not taken.

    Attributes:
        info: What its header says; None where it cannot be read as audio.
        too_long: Whether a shorter piece of it would be taken.
    """

    def __init__(self, message: str, info: AudioInfo | None = None, *, too_long: bool = False) -> None:
        super().__init__(message)
        self.info = info
        self.too_long = too_long


def decode_upload(content: bytes, *, sample_rate: int | None, seconds: float) -> Samples:
    """Samples ``(samples,)`` of an uploaded file: mono, at the model's rate.

    The header is judged before anything is decoded. How many bytes are accepted is up to who receives them.

    Args:
        content: The whole file.
        sample_rate: Rate wanted in Hz; None takes the file's own.
        seconds: Longest recording.

    Raises:
        RefusedUpload: It cannot be decoded, is cut off, is no recording of speech, or is too long.
    """
    try:
        info = content_info(content, "the file")
        _check(info, seconds)
        return decode_audio(content, "the file", sample_rate=sample_rate, channels="mean", resample="soxr")
    except RefusedUpload:
        raise
    except UserError as error:
        raise RefusedUpload(f"{error.message}; {READABLE}") from error
    except (ValueError, ArithmeticError) as error:
        # Headers that contradict themselves: shapes and rates that no decoder can follow.
        raise RefusedUpload(f"the file cannot be decoded: its header is damaged; {READABLE}") from error


def _check(info: AudioInfo, seconds: float) -> None:
    shape = f"{info.channels} channels at {info.rate} Hz"
    if not RATES[0] <= info.rate <= RATES[1] or not 1 <= info.channels <= CHANNELS:
        wanted = f"at most {CHANNELS} channels at {RATES[0]} to {RATES[1]} Hz are read"
        raise RefusedUpload(f"the file has {shape}; {wanted}", info)
    if not info.frames:
        raise RefusedUpload("the file holds no samples", info)
    if info.seconds > seconds or info.frames * info.channels > seconds * DENSEST:
        wanted = f"at most {seconds:g} s are taken, of two channels at 48 kHz; cut it into pieces"
        raise RefusedUpload(
            f"the file holds {info.seconds:.1f} s of audio in {shape}; {wanted}", info, too_long=True
        )
