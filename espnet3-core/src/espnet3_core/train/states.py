"""The two states that training can be resumed from, and how a new one takes its place among them.

At every moment two whole ones are on the disk (once two have been written), and ``last.ckpt`` or
``previous.ckpt`` is one of them.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.files import sync_directory

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"


class Damaged(Exception):
    """A checkpoint is not what was written: cut short by a crash, or changed by the disk."""


def verify(path: Path) -> None:
    """Read every byte of a checkpoint, and compare the checksums that torch has put beside each tensor.

    A folder, as strategies write it that shard their checkpoints, is taken as it is.

    Raises:
        Damaged: It is not whole.
        PermissionError: It may not be read.
    """
    if path.is_dir():
        return
    try:
        with open(path, "rb") as stream:
            if hasattr(os, "posix_fadvise"):  # read what the disk has, not what memory remembers
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            with zipfile.ZipFile(stream) as archive:
                broken = archive.testzip()
    except PermissionError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise Damaged(f"it is damaged: {error}") from error
    if broken is not None:
        raise Damaged(f"it is damaged: the checksum of {broken} is wrong")


def promote(temporary: Path, *, former_is_whole: bool) -> None:
    """Flush a written checkpoint, read it back, make it ``last.ckpt``; the former becomes ``previous.ckpt``.

    Args:
        temporary: The new one, beside them.
        former_is_whole: Whether the present ``last.ckpt`` can be resumed from; if not, it is replaced.

    Raises:
        UserError: The new one cannot be read back.
    """
    last, previous = temporary.with_name(LAST), temporary.with_name(PREVIOUS)
    handle = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        verify(temporary)
    except Damaged as error:
        raise UserError(
            f"{last}: what was written does not read back: {error}",
            hint="the disk or the memory may be failing; the former checkpoint is as it was",
        ) from error
    if former_is_whole and last.exists():
        os.replace(last, previous)
    os.replace(temporary, last)
    sync_directory(last.parent)
