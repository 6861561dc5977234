"""``core/manifest``: a corpus listed in a file, a Kaldi directory or a folder, read lazily."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.audio import read_audio
from espnet3_core.data.columns import TextColumn
from espnet3_core.data.config import ManifestConfig, TarConfig
from espnet3_core.data.folders import LISTINGS, audio_files
from espnet3_core.data.kaldi import CHANNEL_COLUMN
from espnet3_core.data.lengths import header_durations
from espnet3_core.data.listing import Listing, no_audio, read_listing
from espnet3_core.data.tables import as_text
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.names import did_you_mean

_SUFFIXES = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl"}
_NOT_FIELDS = ("id", "audio", "start", "end", "duration", CHANNEL_COLUMN)


def open_manifest(
    config: ManifestConfig, *, sample_rate: int | None, recipe_dir: Path, lenient: bool = False
) -> Any:
    """The dataset of a manifest, or what a plugin makes of an address such as ``hf://…``.

    Args:
        config: Settings; a ``path`` with ``://`` goes to the hook ``espnet3_resolve_source``.
        sample_rate: Rate in Hz of the audio in the items.
        recipe_dir: Folder that relative paths start from.
        lenient: Leave broken lines out, see :class:`Manifest`.
    """
    if "://" in config.path and not config.path.startswith("file://"):
        from espnet3_core.catalog import current_catalog

        return current_catalog().resolve_source(config.path)
    return Manifest(config, sample_rate=sample_rate, recipe_dir=recipe_dir, lenient=lenient)


def _locate(config: ManifestConfig, recipe_dir: Path) -> tuple[Path, str]:
    """The listing's path and format."""
    path = Path(recipe_dir) / Path(config.path.removeprefix("file://")).expanduser()
    if not path.exists():
        raise UserError(
            f"manifest {path} does not exist",
            hint="relative paths start from the recipe's folder; has stage create_dataset been run?",
        )
    if path.is_dir() and config.format not in ("kaldi", "folder"):
        if (path / "wav.scp").exists() and config.format == "auto":
            return path, "kaldi"
        listed = [path / name for name in LISTINGS if (path / name).exists()]
        if len(listed) > 1:
            raise UserError(f"{path} holds {' and '.join(p.name for p in listed)}", hint="name one as `path`")
        if config.format == "auto" and not listed:
            return path, "folder"
        path = listed[0] if listed else path
    if config.format == "kaldi" and path.is_dir() and not (path / "wav.scp").exists():
        raise UserError(f"{path} holds no wav.scp, so it is not a Kaldi data directory")
    if path.is_dir() != (config.format in ("kaldi", "folder")) and config.format != "auto":
        raise UserError(f"{path} is {'a folder' if path.is_dir() else 'a file'}, not {config.format}")
    form = _SUFFIXES.get(path.suffix.lower()) if config.format == "auto" else config.format
    if form is None:
        raise UserError(
            f"cannot tell the format of manifest {path} from its suffix",
            hint="call it .tsv, .csv or .jsonl, or say which it is: `format: tsv`",
        )
    return path, form


class Manifest:
    """A corpus that is listed in a file.

    Items are ``{"id", "speech" (float32, (samples,)), "text", "speaker", and every other column as text}``;
    fields that the listing lacks are absent. A listing without an audio column is a corpus of text when no
    sample rate is wanted.

    Args:
        config: Settings.
        sample_rate: Rate in Hz of the audio in the items; None takes each file's own.
        recipe_dir: Folder that relative paths start from.
        lenient: Leave lines that are broken or repeat an id out, and tell them in ``findings``; an utterance
            whose file cannot be opened has the length last known, or a usual one, until it is read.

    Raises:
        UserError: The listing cannot be read, is empty, or has broken lines or duplicate ids: all are named.
    """

    config: ManifestConfig | TarConfig

    def __init__(
        self, config: ManifestConfig, *, sample_rate: int | None, recipe_dir: Path, lenient: bool = False
    ) -> None:
        self.config = config
        self.lenient = lenient
        self.sample_rate = sample_rate
        path, form = _locate(config, recipe_dir)
        folder = path if path.is_dir() else path.parent
        self._root = os.path.abspath(folder if config.root is None else Path(recipe_dir) / config.root)
        self._use(read_listing(path, form, config.columns, audio=sample_rate is not None))

    def _use(self, listing: Listing) -> None:
        """Take the rows that are wanted and not broken; what is broken among the wanted is told."""
        if listing.findings and not self.lenient:
            raise CheckFailed(listing.findings)
        self._listing = listing
        wanted = self._wanted()
        outside = set(listing.numbers["line"][~wanted].tolist()) if listing.findings else set()
        places = {listing.place(line) for line in outside if line}
        self.findings = [finding for finding in listing.findings if finding.place not in places]
        self._rows = np.flatnonzero(wanted & ~listing.bad)

    def _wanted(self) -> NDArray[np.bool_]:
        """Rows that ``where`` selects."""
        listing = self._listing
        keep = np.ones(len(listing), bool)
        for name, wanted in self.config.where.items():
            column = listing.columns.get(name, listing.columns.get(listing.headers.get(name, "")))
            if column is None:
                raise UserError(
                    f"`where` asks for column {name!r}, which {listing.file} does not have; "
                    f"columns: {', '.join(listing.headers)}",
                    hint=did_you_mean(name, [*listing.headers, *listing.columns]),
                )
            values = {as_text(value) for value in (wanted if isinstance(wanted, list | tuple) else [wanted])}
            keep &= np.fromiter((value in values for value in column), bool, len(column))
            if not keep.any():
                there = sorted(set(column))
                shown = ", ".join(there[:10]) + (" …" if len(there) > 10 else "")
                raise UserError(
                    f"manifest {listing.file} has no utterance with {name} = {' or '.join(sorted(values))}",
                    hint=f"values of {name}: {shown}",
                )
        return keep

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = self._checked(index)
        item = self.describe(index)
        if self._audio is not None:
            channel = self.channel(index)
            item["speech"] = read_audio(
                self.audio_path(index),
                *self.span(index),
                sample_rate=self.sample_rate,
                channels=self.config.channels if channel is None else channel,
                resample=self.config.resample,
                utterance=item["id"],
                place=self.source(index) if self._number("line", index) else None,
            )
        return item

    def _checked(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"utterance {index} of {len(self)}")
        return index % len(self)

    @property
    def _audio(self) -> TextColumn | None:
        return self._listing.columns.get("audio")

    def _text(self, column: TextColumn, index: int) -> str:
        return column[int(self._rows[index])]

    def _number(self, name: str, index: int) -> Any:
        return self._listing.numbers[name][self._rows[index]].item()

    def channel(self, index: int) -> int | None:
        """The channel that the listing picks, counted from 0; None where it leaves that to ``channels``."""
        column = self._listing.columns.get(CHANNEL_COLUMN)
        channel = self._text(column, index) if column else ""
        return int(channel) if channel else None

    def audio_path(self, index: int) -> str:
        """Absolute path of an utterance's audio file."""
        if self._audio is None:
            raise no_audio(self._listing)
        path = self._text(self._audio, index).removeprefix("file://")
        if "://" in path:
            from espnet3_core.catalog import current_catalog

            return str(os.fspath(current_catalog().resolve_source(path)))
        return os.path.join(self._root, os.path.expanduser(path))

    def span(self, index: int) -> tuple[float, float | None]:
        """Start and end of an utterance in its audio file, in seconds; None for the file's end."""
        end = self._number("end", index)
        return self._number("start", index), None if math.isnan(end) else end

    def describe(self, index: int) -> dict[str, Any]:
        """All fields of an utterance except audio."""
        index = self._checked(index)
        columns = self._listing.columns
        item = {"id": self._text(columns["id"], index)}
        return item | {
            name: self._text(column, index) for name, column in columns.items() if name not in _NOT_FIELDS
        }

    def ids(self) -> list[str]:
        """Ids of all utterances, in order."""
        return list(self._listing.columns["id"].at(self._rows))

    def source(self, index: int) -> str:
        """Where an utterance is listed: ``file:line``; in a folder of audio, its file."""
        line = self._number("line", index)
        return f"{self._listing.file}:{line}" if line or self._audio is None else self.audio_path(index)

    def lengths(self) -> NDArray[np.float64]:
        """Seconds of each utterance: from the listing where it says, else from the files' headers (cached).

        Raises:
            CheckFailed: Files are missing or damaged; all of them are listed.
        """
        start, end, whole = (self._listing.numbers[name][self._rows] for name in ("start", "end", "whole"))
        seconds = np.where(np.isnan(end), whole, end) - start
        unknown = np.flatnonzero(np.isnan(seconds))
        first: dict[str, int] = {}
        for index in unknown.tolist():
            first.setdefault(self.audio_path(index), index)
        if first:
            ids = self._listing.columns["id"]
            found = header_durations(
                list(first),
                utterances=[self._text(ids, index) for index in first.values()],
                places=[self.source(index) for index in first.values()],
                lenient=self.lenient,
            )
            by_path = dict(zip(first, found.tolist(), strict=True))
            for index in unknown.tolist():
                seconds[index] = by_path[self.audio_path(index)] - start[index]
        if np.isnan(seconds).any():
            known = seconds[~np.isnan(seconds)]
            seconds[np.isnan(seconds)] = np.median(known) if len(known) else 1.0
        return np.asarray(seconds, np.float64)

    def missing(self) -> list[Finding]:
        """A finding for each utterance whose audio file does not exist; nothing is decoded."""
        ids = self._listing.columns["id"]
        return [
            Finding(
                message=f"utterance {self._text(ids, index)!r}: {path} does not exist",
                place=self.source(index),
            )
            for index in range(len(self) if self._audio is not None else 0)
            if not os.path.isfile(path := self.audio_path(index))
        ]

    def fingerprint(self) -> str:
        """Hash of the listing's bytes and of the settings that decide what the items are."""
        config = self.config
        settings = [config.columns, config.where, config.channels, config.resample, self.sample_rate]
        text = json.dumps([self._listing.digest, *settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def listed_audio(path: str, recipe_dir: Path) -> list[str]:
    """Absolute paths of the audio files that ``path`` stands for: a file, a folder of audio, or a manifest.

    Raises:
        UserError: There is none.
    """
    place = Path(recipe_dir) / Path(path).expanduser()
    if place.is_dir() and not (place / "wav.scp").exists():
        files = [str(place / name) for name in audio_files(place)]
    elif place.is_dir() or place.suffix.lower() in _SUFFIXES:
        manifest = Manifest(ManifestConfig(path=str(place)), sample_rate=None, recipe_dir=Path(recipe_dir))
        files = [manifest.audio_path(index) for index in range(len(manifest))]
    else:
        files = [str(place)] if place.is_file() else []
    if not files:
        raise UserError(f"{place} holds no audio" if place.exists() else f"{place} does not exist")
    return files
