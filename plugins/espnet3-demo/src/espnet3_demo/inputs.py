"""What a visitor gave, checked before the model sees it."""

from __future__ import annotations

import math
import os
from typing import Any

from espnet3_core.config.roles import DemoConfig
from espnet3_core.data.audio import Samples
from espnet3_core.data.uploads import READABLE, RefusedUpload, decode_upload
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration


def read(field: FieldDeclaration, value: Any, demo: DemoConfig, sample_rate: int | None) -> Any:
    """A value for the model; None for an optional one that was left out.

    Raises:
        UserError: It is missing, cannot be read, or is beyond the limits.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        if field.optional:
            return None
        raise UserError(_MISSING.get(field.kind, "{}: something has to be given.").format(field.name))
    if field.kind == "audio":
        return read_audio(value, demo, sample_rate)
    if field.kind in ("text", "label"):
        return _text(value, demo)
    if field.kind == "number":
        return _number(value, field)
    return value


_MISSING = {
    "audio": "There is no audio yet: record something, or choose a file.",
    "text": "There is no text yet: type some.",
}


def _text(value: str, demo: DemoConfig) -> str:
    if len(value) > demo.max_characters:
        raise UserError(f"The text has {len(value)} characters; at most {demo.max_characters} are taken.")
    return value.strip()


def _number(value: str, field: FieldDeclaration) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise UserError(f"{field.name}: {value.strip()[:40]!r} is not a number.")
    return number


def read_audio(path: str, demo: DemoConfig, sample_rate: int | None) -> Samples:
    """Samples ``(samples,)`` of a file, mono, at the model's rate. The file's name plays no part.

    Raises:
        UserError: It cannot be decoded, or is larger or longer than allowed.
    """
    if os.path.getsize(path) > demo.max_mb * 1e6:
        raise UserError(f"The file is larger than {demo.max_mb:g} MB; choose a shorter one.")
    with open(path, "rb") as stream:
        content = stream.read()
    try:
        return decode_upload(content, sample_rate=sample_rate, seconds=demo.max_seconds)
    except RefusedUpload as error:
        raise UserError(_plainly(error, demo)) from error


def _plainly(error: RefusedUpload, demo: DemoConfig) -> str:
    """Why a file is not taken, for people."""
    info = error.info
    if info is None:
        return f"This file cannot be read as audio; {READABLE}."
    if not info.frames:
        return "The recording is empty."
    if info.seconds > demo.max_seconds:
        return (
            f"The recording lasts {info.seconds:.0f} s; at most {demo.max_seconds:g} s are taken. "
            "Choose a shorter one, or cut it with the scissors."
        )
    return f"The file has {info.channels} channels at {info.rate} Hz, which is more than a page takes."
