"""Whose audio is read, and in which words it is said that it cannot be used."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from espnet3_core.data import sphere
from espnet3_core.errors import UserError

UNREADABLE_SUFFIXES = frozenset(
    {".m4a", ".aac", ".mp4", ".wma", ".webm", ".amr", ".3gp", ".ape", ".mka", ".mkv", ".mov", ".avi", ".ac3"}
)
"""Suffixes of recordings that libsndfile has no decoder for."""


class AudioError(UserError):
    """Audio that cannot be used.

    Attributes:
        kind: ``missing``, ``empty``, ``truncated``, ``damaged``, ``not finite``, ``rate``, ``channels`` or
            ``segment``.
    """

    kind = "damaged"


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

    def error(self, problem: str, hint: str | None = None, kind: str = "damaged") -> AudioError:
        """The error ``<place>: utterance '<id>': <path> <problem>``."""
        head = f"{self.place}: " if self.place else ""
        name = f"utterance {self.utterance!r}: " if self.utterance is not None else ""
        error = AudioError(f"{head}{name}{self.path} {problem}", hint=hint)
        error.kind = kind
        return error


@contextmanager
def explained(origin: Origin) -> Iterator[None]:
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
                "missing",
            ) from error
        if os.path.isdir(path):
            raise origin.error("is a folder, not an audio file") from error
        if not os.access(path, os.R_OK):
            raise origin.error("may not be read", "change its permissions") from error
        if os.path.getsize(path) == 0:
            hint = "copy it again, or leave the utterance out"
            raise origin.error("is empty (0 bytes)", hint, "empty") from error
        if isinstance(error, sphere.SphereError):
            raise origin.error(str(error), "convert it, copy it again, or leave the utterance out") from error
        if (suffix := os.path.splitext(path)[1].lower()) in UNREADABLE_SUFFIXES:
            raise origin.error(f"has the format {suffix}, which is not read", conversion(path)) from error
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise origin.error(
            f"cannot be decoded: {reason}",
            "it is damaged, cut off, or not audio: copy it again or leave it out",
        ) from error


def conversion(path: str | os.PathLike[str]) -> str:
    """How to get a recording that can be read from one of :data:`UNREADABLE_SUFFIXES`."""
    name = os.path.basename(path)
    command = f"ffmpeg -i {shlex.quote(name)} {shlex.quote(os.path.splitext(name)[0] + '.flac')}"
    return f"wav, flac, ogg, mp3 and Sphere are read; convert it: {command}"
