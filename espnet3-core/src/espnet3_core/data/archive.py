"""Unpacking tar and zip archives: no path outside the folder, no bomb, nothing half unpacked in place."""

from __future__ import annotations

import logging
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.files import disk_errors, make_directory

_log = logging.getLogger(__name__)
MAX_BYTES = 1 << 40
"""Unpacked size beyond which an archive is refused, unless told otherwise."""
MAX_FILES = 5_000_000
"""Number of entries beyond which an archive is refused, unless told otherwise."""


def extract(
    archive: str | os.PathLike[str],
    directory: str | os.PathLike[str],
    *,
    max_bytes: int = MAX_BYTES,
    max_files: int = MAX_FILES,
) -> Path:
    """Unpack an archive into a folder.

    Entries are unpacked under a temporary name and moved in when all are there; folders that exist already
    are merged, files replaced. Absolute paths, paths with ``..``, links that lead outside and devices are
    refused (tar: the ``data`` filter of PEP 706).

    Args:
        archive: tar (plain, gz, bz2, xz) or zip.
        directory: Where to unpack.
        max_bytes: Most bytes, unpacked.
        max_files: Most entries.

    Returns:
        ``directory``.

    Raises:
        UserError: The archive is damaged, cut off, dangerous, or too large.
    """
    source, target = Path(archive), Path(directory)
    make_directory(target)
    partial = target / f".{source.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    _log.info("unpacking %s", source.name)
    try:
        with disk_errors(target):
            partial.mkdir()
            if zipfile.is_zipfile(source):
                _unzip(source, partial, max_bytes, max_files)
            else:
                _untar(source, partial, max_bytes, max_files)
            _merge(partial, target)
    except FileNotFoundError as error:
        raise UserError(f"{source} does not exist") from error
    except tarfile.FilterError as error:
        raise UserError(f"{source} is refused: {error}", hint="an entry leads outside the folder") from error
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
        raise UserError(
            f"{source} is damaged or cut off: {error}", hint="delete it and download it again"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _counted(sizes: Iterator[int], source: Path, max_bytes: int, max_files: int) -> Iterator[int]:
    """Pass sizes through until they are too many or too much."""
    total = 0
    for count, size in enumerate(sizes, 1):
        total += size
        if total > max_bytes or count > max_files:
            raise UserError(
                f"{source} is refused: it unpacks to more than "
                + (f"{max_bytes} bytes" if total > max_bytes else f"{max_files} files")
            )
        yield size


def _untar(source: Path, target: Path, max_bytes: int, max_files: int) -> None:
    with tarfile.open(source) as tar:
        pending: list[tarfile.TarInfo] = []

        def sizes() -> Iterator[int]:
            for member in tar:
                pending.append(member)
                yield member.size

        for _ in _counted(sizes(), source, max_bytes, max_files):
            tar.extract(pending.pop(), target, filter="data")


def _unzip(source: Path, target: Path, max_bytes: int, max_files: int) -> None:
    root = target.resolve()
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        for _ in _counted((entry.file_size for entry in entries), source, max_bytes, max_files):
            pass
        for entry in entries:
            name = entry.filename.replace("\\", "/")
            outside = not (root / name).resolve().is_relative_to(root)
            if name.startswith("/") or outside or stat.S_ISLNK(entry.external_attr >> 16):
                raise UserError(f"{source} is refused: entry {entry.filename!r} leads outside the folder")
            archive.extract(entry, target)


def _merge(source: Path, target: Path) -> None:
    for entry in sorted(source.iterdir()):
        goal = target / entry.name
        if entry.is_dir() and not entry.is_symlink() and goal.is_dir():
            _merge(entry, goal)
        else:
            os.replace(entry, goal)
