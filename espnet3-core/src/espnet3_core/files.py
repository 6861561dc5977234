"""Writing files so that a full disk or a lost process leaves the old file whole, and hashing them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from espnet3_core.errors import UserError

_MENDS = {
    errno.ENOSPC: ("the disk is full", "free some space, then run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the same command again"),
    errno.EFBIG: ("it would become larger than is allowed", "see ulimit -f, or choose another file system"),
    errno.EROFS: ("the file system is read-only", "choose a place that can be written"),
    errno.EACCES: ("permission denied", "choose a place that you may write, or change its permissions"),
    errno.EPERM: ("operation not permitted", "choose a place that you may write, or change its permissions"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "remove that file or choose another place"),
    errno.EISDIR: ("it is a folder", "remove the folder or choose another name"),
    errno.EEXIST: ("a file of that name is in the way", "remove it or choose another name"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter name"),
}


def _os_error(error: BaseException) -> OSError | None:
    """The operating system's error behind ``error``: itself, or what caused it (torch.save wraps)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _MENDS:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


@contextmanager
def disk_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn failures to write into a message that names the path.

    Args:
        path: What the block writes; named when the error itself names nothing.

    Raises:
        UserError: The disk is full or read-only, or the path may not be written.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = _os_error(error)
        if cause is None:
            raise
        problem, hint = _MENDS[cause.errno or 0]
        named = cause.filename2 or cause.filename or os.fspath(path)  # the second is what was copied to
        raise UserError(f"cannot write {named}: {problem}", hint=hint) from error


def make_directory(path: str | os.PathLike[str]) -> Path:
    """Make a folder and its parents; nothing happens when it exists.

    Raises:
        UserError: It cannot be made.
    """
    with disk_errors(path):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)


def refuse_contents(directory: Path) -> None:
    """Make sure that a new folder can stand here.

    Raises:
        UserError: A file, or a folder that holds anything, is in the way.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UserError(f"{directory} exists already; nothing is overwritten", hint="choose another folder")


@contextmanager
def new_directory(directory: Path) -> Iterator[Path]:
    """A folder to fill that appears under its name only when the block has ended well.

    Args:
        directory: Where it shall stand: nothing, or an empty folder, is there.

    Raises:
        UserError: Something is in the way, or the disk is full or read-only.
    """
    refuse_contents(directory)
    with disk_errors(directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        yield work
        with disk_errors(directory):
            work.chmod(0o755)
            work.replace(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make renames inside a folder survive a power cut, where the file system can do that."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_leftovers(directory: Path, name: str = "*") -> None:
    """Delete the temporary files of :func:`atomic_open` that a process left which was killed in it.

    Args:
        directory: No other process may write into it at this time.
        name: Pattern of the names of the targets.
    """
    for path in directory.glob(f".{name}.tmp"):
        with suppress(OSError):
            path.unlink()


@contextmanager
def atomic_open(
    path: str | os.PathLike[str], mode: str = "w", *, encoding: str | None = None
) -> Iterator[IO[Any]]:
    """Open a file for writing that appears under its name only when the block has ended well.

    The content goes to a temporary name beside the target, is flushed to the disk and renamed. An
    exception in the block leaves the former file as it was. A symbolic link is followed, not replaced.

    Args:
        path: Where the file shall stand; folders above it are made.
        mode: ``w`` (UTF-8 text with ``\\n`` line ends unless ``encoding`` says otherwise) or ``wb``.
        encoding: Of a text file.

    Raises:
        UserError: The disk is full or read-only, or the path may not be written.
    """
    if mode not in ("w", "wb"):
        raise ValueError(f"atomic_open writes whole files: mode 'w' or 'wb', not {mode!r}")
    target = Path(os.path.realpath(path))
    make_directory(target.parent)
    temporary = target.with_name(f".{target.name[:100]}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    with disk_errors(target):
        try:
            text: dict[str, Any] = {} if "b" in mode else {"encoding": encoding or "utf-8", "newline": "\n"}
            with open(temporary, mode.replace("w", "x"), **text) as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, target)
        except BaseException as error:
            with suppress(OSError):
                os.unlink(temporary)
            if isinstance(error, OSError) and error.filename in (str(temporary), temporary):
                error.filename = str(target)
            raise
    sync_directory(target.parent)


def atomic_write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write a UTF-8 file as :func:`atomic_open` does."""
    with atomic_open(path) as stream:
        stream.write(text)


def atomic_write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a binary file as :func:`atomic_open` does."""
    with atomic_open(path, "wb") as stream:
        stream.write(data)


def atomic_write_json(path: str | os.PathLike[str], value: Any, *, indent: int | None = 2) -> None:
    """Write a value as JSON (no NaN or infinity, which other readers refuse) as :func:`atomic_open` does."""
    atomic_write_text(path, json.dumps(value, ensure_ascii=False, indent=indent, allow_nan=False) + "\n")


def sha256_file(path: str | os.PathLike[str]) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    return file_digest(path, "sha256")


def file_digest(path: str | os.PathLike[str], algorithm: str) -> str:
    """Hexadecimal digest of a file's bytes by an algorithm of :mod:`hashlib`."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, algorithm).hexdigest()
