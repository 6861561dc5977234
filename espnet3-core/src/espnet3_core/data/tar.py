"""``core/tar``: tar shards in the layout of WebDataset, read from any place.

The members of a shard are indexed once, and an utterance is then read by its offset. So a corpus in shards is
like any other: it has lengths to make batches by, an order that is shuffled over the whole corpus and not
within a buffer, and a place to resume from; ranks and workers share it out by utterance, not by shard. What a
buffer over a stream would have to save and replay does not exist.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import json
import logging
import math
import os
import re
import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espnet3_core.data.audio import AUDIO_SUFFIXES
from espnet3_core.data.columns import TextColumn
from espnet3_core.data.config import TarConfig
from espnet3_core.data.encoded import content_info, decode_audio
from espnet3_core.data.listing import Listing, cached
from espnet3_core.data.manifest import Manifest
from espnet3_core.data.tables import ALIASES, Table, as_text, resolve_headers
from espnet3_core.errors import CheckFailed, Finding, UserError

_log = logging.getLogger(__name__)
_BRACES = re.compile(r"\{([^{}]*)\}")
_SEGMENT = {"id", *ALIASES["start"], *ALIASES["end"]}


def shards_of(pattern: str) -> list[str]:
    """Names that a pattern stands for, in order.

    >>> shards_of("train-{08..11}.tar")
    ['train-08.tar', 'train-09.tar', 'train-10.tar', 'train-11.tar']
    >>> shards_of("{train,dev}/0.tar")
    ['train/0.tar', 'dev/0.tar']
    """
    choices = []
    for index, part in enumerate(_BRACES.split(pattern)):
        span = re.fullmatch(r"(\d+)\.\.(\d+)", part)
        if index % 2 and span:
            numbers = range(int(span[1]), int(span[2]) + 1)
            choices.append([str(number).zfill(len(span[1])) for number in numbers])
        else:
            choices.append(part.split(",") if index % 2 else [part])
    return ["".join(parts) for parts in itertools.product(*choices)]


def _locate(pattern: str, recipe_dir: Path) -> list[Path]:
    """The shards, all of which exist."""
    if "://" in pattern:
        raise UserError(f"core/tar: {pattern} is an address", hint="copy the shards to a disk, and name that")
    found: list[Path] = []
    missing = []
    for name in shards_of(pattern):
        path = os.path.join(recipe_dir, os.path.expanduser(name))
        paths = sorted(glob.glob(path)) if glob.has_magic(path) else [path]
        there = [Path(path) for path in paths if os.path.isfile(path)]
        found += there
        missing += [] if there else [Finding(message="there is no such shard", place=path)]
    if missing:
        raise CheckFailed(missing)
    if not found:
        raise UserError(f"core/tar: {pattern} stands for no shard")
    return found


class TarShards(Manifest):
    """Utterances in tar shards.

    A key is a member's path up to the first dot of its file name, and is the utterance's id. Its audio is the
    member ``<key>.flac`` (or another kind of audio), its text ``<key>.txt``, further fields ``<key>.json``;
    other members are left alone. Items are those of :class:`~espnet3_core.data.manifest.Manifest`.

    Args:
        config: Settings.
        sample_rate: Rate in Hz of the audio in the items; None takes each file's own.
        recipe_dir: Folder that relative paths start from.
        lenient: Leave keys that are broken, and what cannot be read of a shard, out, and tell it in
            ``findings``.

    Raises:
        UserError: A shard is missing, damaged or compressed, or holds keys without audio or text; all such
            keys are named.
    """

    def __init__(
        self, config: TarConfig, *, sample_rate: int | None, recipe_dir: Path, lenient: bool = False
    ) -> None:
        self.config = config
        self.lenient = lenient
        self.sample_rate = sample_rate
        self.shards = _locate(config.path, recipe_dir)
        names = [os.path.abspath(shard) for shard in self.shards]
        key = ["tar", names, config.columns]
        self._use(cached(key, self.shards, lambda: _index(self.shards, config)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = self._checked(index)
        item = self.describe(index)
        item["speech"] = decode_audio(
            self._content(index),
            self.source(index),
            sample_rate=self.sample_rate,
            channels=self.config.channels,
            resample=self.config.resample,
            utterance=item["id"],
        )
        return item

    def _content(self, index: int) -> bytes:
        """Bytes of the audio. No file is kept open: neither workers nor shards have to share one."""
        path, size = self.shards[self._number("shard", index)], self._number("size", index)
        try:
            with path.open("rb") as stream:
                stream.seek(self._number("offset", index))
                content: bytes = stream.read(size)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        if len(content) < size:
            raise UserError(f"{path} has become shorter", hint="shards must not change while they are in use")
        return content

    def audio_path(self, index: int) -> str:
        """No file holds only this utterance's audio.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{self.source(index)} is not a file", hint="load the utterance instead")

    def source(self, index: int) -> str:
        """Where an utterance is listed: ``<shard>/<member>``."""
        member = self._text(self._listing.columns["audio"], index)
        return f"{self.shards[self._number('shard', index)]}/{member}"

    def missing(self) -> list[Finding]:
        """Nothing: what is in the index was there."""
        return []


@dataclass
class _Entry:
    """The members of one key."""

    shard: int
    audio: str = ""
    offset: int = 0
    size: int = 0
    seconds: float = math.nan
    fields: dict[str, str] = field(default_factory=dict)
    broken: bool = False


def _index(shards: list[Path], config: TarConfig) -> Listing:
    """Read the shards once, and find every problem."""
    _log.info("reading the index of %d shards, %s …", len(shards), shards[0])
    entries: dict[str, _Entry] = {}
    findings: list[Finding] = []
    digest = hashlib.sha256()
    for number, shard in enumerate(shards):
        for key, entry in _entries(shard, number, findings).items():
            if key in entries:
                first = shards[entries[key].shard]
                findings.append(Finding(message=f"key {key!r} is in {first}, too", place=str(shard)))
                continue
            entries[key] = entry
            digest.update(repr((key, entry.audio, entry.size, entry.fields)).encode())
    findings += _incomplete(entries, shards)
    if not entries:
        raise CheckFailed(findings) if findings else UserError(f"core/tar: {config.path} holds no audio")
    return _listing(entries, config, digest.hexdigest(), findings)


def _listing(entries: dict[str, _Entry], config: TarConfig, digest: str, findings: list[Finding]) -> Listing:
    rows = list(entries.values())
    keys = dict.fromkeys(key for entry in rows for key in entry.fields)
    table = Table(config.path, {key: TextColumn.of([e.fields.get(key, "") for e in rows]) for key in keys})
    fields = {header: name for name, header in resolve_headers(table, config.columns).items()}
    headers = {key: fields.get(key) or (f"{key}_" if key in ("speech", "ids") else key) for key in keys}
    columns = {"id": TextColumn.of(list(entries)), "audio": TextColumn.of([entry.audio for entry in rows])}
    columns |= {headers[key]: column for key, column in table.columns.items()}
    whole = np.array([entry.seconds for entry in rows])
    if "duration" in columns:
        said = np.array([_positive(text) for text in columns["duration"]])
        whole = np.where(np.isnan(said), whole, said)
    count = len(rows)
    numbers: dict[str, Any] = {
        "line": np.zeros(count, np.int64),
        "start": np.zeros(count),
        "end": np.full(count, np.nan),
        "whole": whole,
    }
    for name in ("shard", "offset", "size"):
        numbers[name] = np.frombuffer(array("q", [getattr(entry, name) for entry in rows]), np.int64)
    broken = [row for row, entry in enumerate(rows) if entry.broken]
    return Listing(config.path, digest, headers, columns, numbers, findings, broken)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if 0 < value < math.inf else math.nan


def _entries(path: Path, number: int, findings: list[Finding]) -> dict[str, _Entry]:
    """Keys of one shard."""
    entries: dict[str, _Entry] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member, content in _members(shard):
                folder, _, name = member.name.removeprefix("./").rpartition("/")
                stem, _, kind = name.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                place = f"{path}/{member.name}"
                if len(key.split()) != 1:
                    findings.append(Finding(message=f"the key {key!r} has a blank", place=place))
                    continue
                entry = entries.setdefault(key, _Entry(number))
                try:
                    _take(entry, key, member, kind.lower(), content)
                except UserError as error:
                    entry.broken = True
                    findings.append(Finding(message=error.message, place=place, hint=error.hint))
    except (OSError, tarfile.TarError) as error:
        hint = "unpack it (gunzip, for example)" if path.suffix != ".tar" else "copy it again"
        findings.append(Finding(message=f"not a whole, plain tar file: {error}", place=str(path), hint=hint))
    return entries


def _members(shard: tarfile.TarFile) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """Files of a shard with their bytes; the list that tarfile keeps of them is emptied as it goes."""
    while (member := shard.next()) is not None:
        if member.isreg() and not os.path.basename(member.name).startswith("."):
            stream = shard.extractfile(member)
            yield member, stream.read() if stream is not None else b""
        shard.members = []  # type: ignore[attr-defined]


def _take(entry: _Entry, key: str, member: tarfile.TarInfo, kind: str, content: bytes) -> None:
    """Add a member to its key."""
    if f".{kind}" in AUDIO_SUFFIXES:
        if entry.audio:
            raise UserError(f"{entry.audio} is audio of key {key!r}, too")
        if member.issparse() or len(content) != member.size:
            raise UserError("it is cut off, or stored with holes", hint="make the shard again")
        entry.audio, entry.offset, entry.size = member.name, member.offset_data, member.size
        entry.seconds = content_info(content, member.name, key).seconds
    elif kind == "txt":
        try:
            entry.fields["text"] = " ".join(content.decode("utf-8-sig").split())
        except UnicodeDecodeError as error:
            raise UserError("not UTF-8 text") from error
    elif kind == "json":
        try:
            values = json.loads(content)
        except ValueError as error:
            raise UserError(f"not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise UserError(f"a JSON object is expected, not {type(values).__name__}")
        entry.fields = {
            f"{name}_" if name.lower() in _SEGMENT | set(ALIASES["audio"]) else name: as_text(value)
            for name, value in values.items()
        } | entry.fields


def _incomplete(entries: dict[str, _Entry], shards: list[Path]) -> Iterator[Finding]:
    """Keys without audio, and without the text that others have; they cannot be used."""
    texts = any("text" in entry.fields for entry in entries.values())
    for key, entry in entries.items():
        place = str(shards[entry.shard])
        if not entry.audio:
            entry.broken = True
            yield Finding(message=f"key {key!r} has no audio", place=place)
        if texts and "text" not in entry.fields:
            entry.broken = True
            yield Finding(message=f"key {key!r} has no text, and others have", place=place)
