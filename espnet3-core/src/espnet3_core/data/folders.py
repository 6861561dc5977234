"""A folder of audio with a text file beside each recording."""

from __future__ import annotations

import os
from array import array
from collections.abc import Set
from pathlib import Path

from espnet3_core.data.audio import AUDIO_SUFFIXES
from espnet3_core.data.columns import TextColumn
from espnet3_core.data.origin import UNREADABLE_SUFFIXES, conversion
from espnet3_core.data.tables import Table
from espnet3_core.errors import Finding, UserError

LISTINGS = ("manifest.tsv", "manifest.csv", "manifest.jsonl", "metadata.jsonl", "metadata.csv")
"""Files that a folder is read by when it holds one of them."""


def audio_files(folder: Path, suffixes: Set[str] = AUDIO_SUFFIXES) -> list[str]:
    """Audio files below a folder, relative to it, sorted; hidden ones are left out."""
    found = []
    for root, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(root, folder)
        found += [
            name if inside == "." else f"{inside}/{name}".replace(os.sep, "/")
            for name in names
            if os.path.splitext(name)[1].lower() in suffixes and not name.startswith(".")
        ]
    return sorted(found)


def unreadable_files(folder: Path) -> list[str]:
    """Recordings in formats that are not read, less those of which there is a copy in one that is."""
    copies = {os.path.splitext(name)[0] for name in audio_files(folder)}
    found = audio_files(folder, UNREADABLE_SUFFIXES)
    return [name for name in found if os.path.splitext(name)[0] not in copies]


def read_folder(folder: Path) -> Table:
    """List a folder of audio; ``name.txt`` beside ``name.wav`` is its text.

    Texts are optional, but when some recordings have one, those without are noted as problems.
    """
    table = Table(str(folder))
    files = audio_files(folder)
    texts: list[str | None] = []
    for name in files:
        path = folder / Path(name).with_suffix(".txt")
        try:
            data = path.read_bytes() if path.exists() else None
            text = None if data is None else " ".join(data.decode("utf-8-sig").split())
        except UnicodeDecodeError:
            table.findings.append(
                Finding(message="not UTF-8 text", place=str(path), hint="save the file as UTF-8")
            )
            text = ""
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror or error}") from error
        texts.append(text)
        table.digest.update(f"{name}\0{text}\0".encode())
    table.lines = array("q", bytes(8 * len(files)))
    table.columns = {"audio": TextColumn.of(files)}
    if any(text is not None for text in texts):
        table.columns["text"] = TextColumn.of([text or "" for text in texts])
        table.findings += [
            Finding(
                message=f"no text beside this recording: {Path(name).stem}.txt is missing",
                place=str(folder / name),
            )
            for name, text in zip(files, texts, strict=True)
            if text is None
        ]
    table.findings += [
        Finding(message="this format is not read", place=str(folder / name), hint=conversion(name))
        for name in unreadable_files(folder)
    ]
    return table
