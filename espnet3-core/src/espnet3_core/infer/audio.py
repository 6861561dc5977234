"""Audio that a model makes: files beside the results, named in their records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open


@dataclass(frozen=True)
class Audio:
    """A value of kind ``audio`` among the fields that ``infer(batch)`` returns.

    Attributes:
        samples: ``(samples,)`` float, full scale 1.
        sample_rate: In Hz.
    """

    samples: NDArray[Any]
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Duration."""
        return len(self.samples) / self.sample_rate


def write_wav(path: Path, audio: Audio) -> None:
    """Write audio as 16-bit PCM, atomically; what is beyond full scale is clipped.

    Raises:
        UserError: It holds numbers that are not finite, or the disk is full.
    """
    import soundfile

    samples = np.asarray(audio.samples, np.float64)
    if not np.isfinite(samples).all():
        raise UserError(
            f"{path.name}: the model made audio with numbers that are not finite",
            hint="the training has diverged: choose an earlier checkpoint with inference.checkpoint",
        )
    values = np.clip(np.rint(samples * 32768), -32768, 32767).astype(np.int16)
    with atomic_open(path, "wb") as stream:
        soundfile.write(stream, values, audio.sample_rate, format="WAV", subtype="PCM_16")


def store(record: Mapping[str, Any], directory: Path) -> dict[str, Any]:
    """Write the audio in a record to ``<field>/<id>.wav`` and put a description in its place.

    The description is ``{"path", "sample_rate", "seconds"}``, its path relative to ``directory``. The
    record's ``duration`` becomes that of the audio that was made.
    """
    stored = dict(record)
    for field, value in record.items():
        if isinstance(value, Audio):
            path = f"{field}/{quote(str(record['id']), safe=' +=,@()')}.wav"
            write_wav(directory / path, value)
            stored[field] = {
                "path": path,
                "sample_rate": value.sample_rate,
                "seconds": round(value.seconds, 6),
            }
            stored["duration"] = round(value.seconds, 6)
    return stored


def is_stored(value: Any) -> bool:
    """Whether a value is what :func:`store` puts in the place of audio."""
    return isinstance(value, Mapping) and value.keys() == {"path", "sample_rate", "seconds"}


def stored_audio(value: Mapping[str, Any], directory: Path) -> Audio:
    """Read the audio that a record of ``directory/results.jsonl`` describes.

    Raises:
        UserError: The file is missing or damaged.
    """
    from espnet3_core.data.audio import read_audio

    rate = int(value["sample_rate"])
    return Audio(read_audio(directory / str(value["path"]), sample_rate=rate), rate)
