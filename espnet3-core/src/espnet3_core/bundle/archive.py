"""Bundles as zip or tar: listed and judged before anything is unpacked, and written with equal bytes."""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from espnet3_core.bundle.limits import Limits
from espnet3_core.bundle.names import check_names, refused
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, disk_errors, make_directory, sync_directory

_BLOCK = 1 << 20
_HEADER_READ = 1 << 26
"""Most bytes that tarfile may ask for at once: more is a header that would fill the memory."""


class Archive(ABC):
    """An archive whose entries are regular files with acceptable names.

    Attributes:
        path: The archive.
        sizes: Bytes of each file, by name below the folder that holds everything, if there is one.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path, self.limits = path, limits
        with _damage(path):
            listed = self._list()
        self._prefix = _common_folder(listed)
        self.sizes = {name.removeprefix(self._prefix): size for name, size in listed.items()}
        check_names(path, self.sizes, limits)

    @abstractmethod
    def _entries(self) -> Iterator[tuple[str, int]]:
        """Name and size of every file; other entries are refused, folders left out."""

    @abstractmethod
    def _open(self) -> Iterator[tuple[str, IO[bytes]]]:
        """Every file, opened."""

    def _list(self) -> dict[str, int]:
        found: dict[str, int] = {}
        most = min(self.limits.bytes, self.limits.ratio * max(self.path.stat().st_size, 1 << 16))
        total = 0
        for name, size in self._entries():
            if name in found:
                raise refused(self.path, f"{name!r} stands in it twice")
            if len(found) >= self.limits.files:
                raise refused(self.path, f"it holds more than {self.limits.files} files")
            found[name] = size
            total += size
            if total > most:
                raise refused(self.path, f"it unpacks to more than {most} bytes")
        return found

    def read(self, wanted: str) -> bytes:
        """One file, of which no more than ``limits.json_bytes`` and a byte are read."""
        with _damage(self.path):
            for name, stream in self._open():
                if name == self._prefix + wanted:
                    return stream.read(self.limits.json_bytes + 1)
        raise refused(self.path, f"it has no {wanted}")

    def unpack(self, directory: Path, files: Mapping[str, Mapping[str, Any]], others: set[str]) -> None:
        """Write the files below a folder, and compare them with the manifest on the way.

        Args:
            directory: An empty folder.
            files: ``size`` and ``sha256`` by name.
            others: Names that are written without being compared.

        Raises:
            UserError: A file is another than the manifest says.
        """
        with _damage(self.path):
            for entry, stream in self._open():
                name = entry.removeprefix(self._prefix)
                found = self._write(stream, directory / name, self.sizes[name])
                if name not in others and found != (files[name]["size"], files[name]["sha256"]):
                    raise refused(self.path, f"{name} has another SHA-256 than the manifest says")

    def _write(self, stream: IO[bytes], target: Path, most: int) -> tuple[int, str]:
        """Copy a file; its size and SHA-256."""
        make_directory(target.parent)
        digest, size = hashlib.sha256(), 0
        with disk_errors(target), target.open("xb") as copy:
            while block := stream.read(_BLOCK):
                size += len(block)
                if size > most:
                    raise refused(self.path, f"{target.name} is longer than the archive says")
                digest.update(block)
                copy.write(block)
            copy.flush()
            os.fsync(copy.fileno())
        return size, digest.hexdigest()


class _Zip(Archive):
    def _entries(self) -> Iterator[tuple[str, int]]:
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise refused(self.path, f"{info.orig_filename!r} is a link or a device, not a file")
                if info.flag_bits & 1:
                    raise refused(self.path, f"{info.orig_filename!r} is encrypted")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise refused(self.path, f"{info.orig_filename!r} is compressed in an unknown way")
                # zipfile cuts names at NUL: the original tells what was meant.
                if info.orig_filename != info.filename or not info.is_dir():
                    yield info.orig_filename, info.file_size

    def _open(self) -> Iterator[tuple[str, IO[bytes]]]:
        with zipfile.ZipFile(self.path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    with archive.open(info) as stream:
                        yield info.filename, stream


class _Tar(Archive):
    def _members(self) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
        opened = gzip.open if _is_gzip(self.path) else open
        with opened(self.path, "rb") as raw:
            careful: Any = _Careful(raw, self.path)
            with tarfile.open(fileobj=careful, mode="r:") as tar:
                for member in tar:
                    yield tar, member

    def _entries(self) -> Iterator[tuple[str, int]]:
        for _, member in self._members():
            if member.isdir():
                continue
            if not member.isreg() or member.issparse():
                raise refused(self.path, f"{member.name!r} is a link or a device, not a file")
            yield member.name.removeprefix("./"), member.size

    def _open(self) -> Iterator[tuple[str, IO[bytes]]]:
        for tar, member in self._members():
            if member.isreg() and (stream := tar.extractfile(member)) is not None:
                yield member.name.removeprefix("./"), stream


class _Careful:
    """A file that tarfile reads, which refuses to read a huge header into memory."""

    def __init__(self, raw: Any, path: Path) -> None:
        self.raw, self.path = raw, path
        self.seek, self.tell = raw.seek, raw.tell

    def read(self, size: int) -> bytes:
        """Some bytes."""
        if size > _HEADER_READ:
            raise refused(self.path, f"it has a header of {size} bytes")
        content: bytes = self.raw.read(size)
        return content


def open_archive(path: Path, limits: Limits) -> Archive:
    """List an archive.

    Raises:
        UserError: It is neither zip nor tar, is damaged, or holds what bundles must not hold.
    """
    if zipfile.is_zipfile(path):
        return _Zip(path, limits)
    if _is_gzip(path) or _looks_like_tar(path):
        return _Tar(path, limits)
    raise refused(path, "it is neither a zip nor a tar (tar.gz) archive")


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _looks_like_tar(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(512)[257:262] == b"ustar"


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (
        tarfile.TarError, zipfile.BadZipFile, zlib.error, gzip.BadGzipFile, EOFError, ValueError,
        NotImplementedError, RuntimeError,
    ) as error:  # fmt: skip
        raise refused(path, f"it is damaged or cut off: {error}") from None


def _common_folder(names: Mapping[str, int]) -> str:
    """``name/`` when all files lie in one folder, as archivers that people use leave them."""
    tops = {name.partition("/")[0] for name in names}
    top = f"{next(iter(tops))}/" if len(tops) == 1 else ""
    return top if f"{top}manifest.json" in names else ""


def write_archive(bundle: Path, target: Path) -> None:
    """Write a bundle's files as ``.zip``, ``.tar`` or ``.tar.gz``; equal bundles give equal bytes.

    Raises:
        UserError: The suffix is another, or the disk is full.
    """
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    # The manifest comes first, so that reading it does not unpack the weights.
    names = sorted(files, key=lambda name: (name != "manifest.json", name))
    with atomic_open(target, "wb") as stream:
        if target.name.endswith(".zip"):
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for name in names:
                    with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as entry:
                        _copy(files[name], entry)
        elif target.name.endswith((".tar", ".tar.gz")):
            packed = gzip.GzipFile("", "wb", 6, stream, mtime=0) if target.suffix == ".gz" else stream
            with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name in names:
                    info = tarfile.TarInfo(name)
                    info.size = files[name].stat().st_size
                    with files[name].open("rb") as source:
                        tar.addfile(info, source)
            if packed is not stream:
                packed.close()
        else:
            raise UserError(f"{target}: bundles are written as .zip, .tar or .tar.gz")
    sync_directory(target.parent)


def _copy(source: Path, target: IO[bytes]) -> None:
    with source.open("rb") as stream:
        while block := stream.read(_BLOCK):
            target.write(block)
