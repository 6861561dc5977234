"""A listing that has been read and checked; a large one is kept in a cache and mapped into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.columns import TextColumn
from espnet3_core.data.folders import read_folder
from espnet3_core.data.kaldi import FILES, read_kaldi
from espnet3_core.data.lengths import cache_directory
from espnet3_core.data.rows import check_ids, derived_ids, times
from espnet3_core.data.tables import Table, read_csv, read_jsonl, read_tsv, resolve_headers
from espnet3_core.errors import Finding, UserError
from espnet3_core.files import atomic_open

CACHED_FROM = 8 << 20
"""Bytes of a listing from which on it is cached; smaller ones are read faster than they are looked up."""
READERS: dict[str, Callable[[Path], Table]] = {
    "tsv": read_tsv,
    "csv": read_csv,
    "jsonl": read_jsonl,
    "kaldi": read_kaldi,
    "folder": read_folder,
}
_VERSION = 1
_RESERVED = ("speech", "ids")


@dataclass(frozen=True)
class Listing:
    """Columns of a listing, and what is wrong with it.

    Attributes:
        file: The file that line numbers refer to.
        digest: SHA-256 of every byte read.
        headers: Our name of each header's column.
        columns: Texts by our name; ``id`` always.
        numbers: ``start``, ``end`` and ``whole`` in seconds (NaN where unknown), ``line``, and what else a
            dataset needs to know of each row.
        findings: Broken lines, not all of which made a row.
        broken: Numbers of the rows that cannot be used.
        cache: The file that is mapped, with its first line; None when all is in memory.
    """

    file: str
    digest: str
    headers: dict[str, str]
    columns: dict[str, TextColumn]
    numbers: dict[str, NDArray[Any]]
    findings: list[Finding] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)
    cache: tuple[Path, str] | None = field(default=None, compare=False)

    def __len__(self) -> int:
        return len(self.numbers["line"])

    @property
    def bad(self) -> NDArray[np.bool_]:
        """Which rows cannot be used."""
        bad = np.zeros(len(self), bool)
        bad[self.broken] = True
        return bad

    def place(self, line: int) -> str:
        """``file:line``."""
        return f"{self.file}:{line}"

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process goes the place of the cache, not what is in it."""
        if self.cache is None:
            parts = (self.file, self.digest, self.headers, self.columns, self.numbers)
            return Listing, (*parts, self.findings, self.broken)
        return _opened, (*self.cache, self.file)


def read_listing(path: Path, form: str, columns: Mapping[str, str], *, audio: bool) -> Listing:
    """Read a listing, or find it in the cache; broken lines, bad times and duplicate ids are its findings.

    What is in the cache holds for the same size, inode and times of modification and change of the files,
    as what is in Git's index does.

    Args:
        path: The file or folder.
        form: ``tsv``, ``csv``, ``jsonl``, ``kaldi`` or ``folder``.
        columns: Field to header, as the user says.
        audio: Whether an audio column is needed.

    Raises:
        UserError: The listing is empty, cannot be read, or has no audio column.
    """
    files = [path] if path.is_file() else [path / name for name in FILES] if form == "kaldi" else []
    key = [os.path.abspath(path), form, dict(columns)]
    listing = cached(key, files, lambda: _checked(READERS[form](path), columns, audio=audio))
    if audio and listing.headers and "audio" not in listing.columns:
        raise no_audio(listing)
    return listing


def cached(key: Any, files: list[Path], read: Callable[[], Listing]) -> Listing:
    """What ``read`` returns, or what it returned when it was called before, with the same files.

    A listing with findings is not kept: it is about to be mended.

    Args:
        key: What else the listing depends on, as plain values.
        files: What is read.
        read: Reads it.
    """
    before = _stamps(files)
    if sum(stamp[1] for stamp in before) < CACHED_FROM:
        return read()
    key = json.dumps([_VERSION, key], sort_keys=True)
    stamp = json.dumps([key, before])
    folder, name = cache_directory() / "listings", _short(key)
    cache = folder / f"{name}-{_short(stamp)}"
    if (known := _mapped(cache, stamp)) is not None:
        return known
    listing = read()
    if not listing.findings and _stamps(files) == before:
        with suppress(UserError, OSError):
            _save(listing, cache, stamp)
            for old in folder.glob(f"{name}-*"):
                if old != cache:
                    old.unlink()
            return _mapped(cache, stamp) or listing
    return listing


def _stamps(files: list[Path]) -> list[tuple[str, int, int, int, int]]:
    stamps = []
    for file in files:
        with suppress(OSError):
            found = file.stat()
            stamps.append((file.name, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino))
    return stamps


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _checked(table: Table, mapping: Mapping[str, str], *, audio: bool) -> Listing:
    """Columns by field, and every problem."""
    if not len(table) and not table.findings:
        empty = "holds no audio" if os.path.isdir(table.file) else "is empty: it lists no utterance"
        raise UserError(f"manifest {table.file} {empty}")
    fields = resolve_headers(table, dict(mapping)) if table.columns else {}
    ours = {header: name for name, header in fields.items()}
    taken = (*_RESERVED, *fields)
    headers = {
        header: ours.get(header) or (f"{header}_" if header in taken else header) for header in table.columns
    }
    columns = {headers[header]: column for header, column in table.columns.items()}
    lines = np.frombuffer(table.lines, np.int64) if len(table) else np.zeros(0, np.int64)
    listing = Listing(table.file, table.digest.hexdigest(), headers, columns, {"line": lines}, table.findings)
    if audio and table.columns and "audio" not in columns:
        raise no_audio(listing)
    if "audio" in columns:
        for row in np.flatnonzero(columns["audio"].sizes() == 0).tolist():
            table.unusable(row, "no audio file is named")
    start, end, whole = times(table, columns)
    listing.numbers.update(start=start, end=end, whole=whole)
    explicit = "id" in columns
    if not explicit:
        columns["id"] = TextColumn.of(derived_ids(columns.get("audio"), start, end, len(table)))
    check_ids(table, columns["id"], explicit=explicit)
    listing.broken.extend(sorted(table.bad))
    return listing


def no_audio(listing: Listing) -> UserError:
    """The error that nothing in a listing names the audio."""
    return UserError(
        f"{listing.file}:1: no column names the audio files; headers: {', '.join(listing.headers)}",
        hint="the first line names the columns: call it `path`, or say `columns: {audio: <header>}`",
    )


def _save(listing: Listing, cache: Path, stamp: str) -> None:
    """One line of JSON, then the arrays, each at a multiple of eight bytes."""
    arrays: dict[str, NDArray[Any]] = dict(listing.numbers)
    for name, column in listing.columns.items():
        arrays |= {f"ends {name}": column.ends, f"data {name}": column.data}
    head = {
        "stamp": stamp,
        "digest": listing.digest,
        "headers": listing.headers,
        "columns": list(listing.columns),
        "arrays": [[name, array.dtype.str, len(array)] for name, array in arrays.items()],
        "file": listing.file,
    }
    with atomic_open(cache, "wb") as stream:
        line = json.dumps(head).encode()
        stream.write(line + b" " * (-(len(line) + 1) % 8) + b"\n")
        for array in arrays.values():
            stream.write(array.data)
            stream.write(bytes(-array.nbytes % 8))


def _mapped(cache: Path, stamp: str) -> Listing | None:
    """The listing in a cache file; None where there is none, or it is damaged or another's."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        with cache.open("rb") as stream:
            head = json.loads(stream.readline())
            place = stream.tell()
        if head["stamp"] != stamp:
            return None
        whole = np.asarray(np.memmap(cache, np.uint8, "r"))
        arrays: dict[str, NDArray[Any]] = {}
        for name, kind, count in head["arrays"]:
            size = np.dtype(kind).itemsize * count
            arrays[name] = whole[place : place + size].view(kind)
            place += size + -size % 8
        if place != len(whole):
            return None
        columns = {
            name: TextColumn(arrays.pop(f"data {name}"), arrays.pop(f"ends {name}"))
            for name in head["columns"]
        }
        return Listing(head["file"], head["digest"], head["headers"], columns, arrays, cache=(cache, stamp))
    return None


def _opened(cache: Path, stamp: str, file: str) -> Listing:
    """The listing that another process has mapped."""
    found = _mapped(cache, stamp)
    if found is None:
        raise UserError(
            f"{file} was read again after it had changed, while this run still used it",
            hint="do not change a manifest while it is in use; run the same command again",
        )
    return found
