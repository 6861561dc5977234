"""Kaldi data directories: ``wav.scp`` (with ``segments``), ``text``, ``utt2spk``, ``utt2dur``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

from espnet3_core.data.columns import TextColumn
from espnet3_core.data.tables import Table, read_lines
from espnet3_core.errors import Finding

FILES = ("wav.scp", "segments", "text", "utt2spk", "utt2dur")
"""Files of a data directory that are read."""
CHANNEL_COLUMN = "_channel"
"""Column for the channel that ``sph2pipe -c`` picks, counted from 0."""
_FLAGS = {
    "sph2pipe": {"-f": 1, "-p": 0, "-c": 1},
    "flac": {"-c": 0, "-d": 0, "-s": 0, "-dc": 0, "-cd": 0, "-dcs": 0, "-cds": 0, "--silent": 0},
    "cat": {},
}


def _read(path: Path, main: Table) -> dict[str, tuple[int, str]]:
    """``key value`` lines of one file: key to line number and value. Problems are noted in ``main``."""
    part = Table(str(path), digest=main.digest)
    entries: dict[str, tuple[int, str]] = {}
    for number, line in enumerate(read_lines(path, part), 1):
        words = line.split(None, 1)
        if not words:
            continue
        if words[0] in entries:
            part.broken(number, f"{words[0]!r} stands on line {entries[words[0]][0]}, too")
            continue
        entries[words[0]] = (number, words[1].strip() if len(words) > 1 else "")
    main.findings.extend(part.findings)
    return entries


def read_pipe(command: str) -> tuple[str, str] | None:
    """File and channel of a ``wav.scp`` command that only reads or decodes a file, else None.

    >>> read_pipe("sph2pipe -f wav -p -c 2 sw02001.sph |")
    ('sw02001.sph', '1')
    >>> read_pipe("sox a.wav -t wav - remix 1 |") is None
    True
    """
    try:
        words = shlex.split(command.rstrip().removesuffix("|"))
    except ValueError:
        return None
    flags = _FLAGS.get(Path(words[0]).name) if words else None
    if flags is None:
        return None
    files, channel, index = [], "", 1
    while index < len(words):
        word = words[index]
        if word in flags:
            if word == "-c" and flags[word] and words[index + 1 : index + 2] != []:
                channel = str(int(words[index + 1]) - 1) if words[index + 1].isdigit() else ""
            index += flags[word]
        elif word.startswith("-") and word != "-" or any(sign in word for sign in "|<>;&$`"):
            return None
        elif word != "-":
            files.append(word)
        index += 1
    return (files[0], channel) if len(files) == 1 else None


def _recordings(path: Path, table: Table) -> dict[str, tuple[int, str, str]]:
    """Recording id to line of ``wav.scp``, audio file and channel."""
    recordings = {}
    scp = Table(str(path))
    for key, (number, value) in _read(path, table).items():
        channel = ""
        if value.endswith("|"):
            simple = read_pipe(value)
            if simple is None:
                scp.broken(
                    number,
                    f"{key!r} is the output of a command, and commands in wav.scp are not run: {value}",
                    "run it once, save its output as a file, and write the file's path here",
                )
                continue
            value, channel = simple
        elif not value or (".ark:" in value and value.rpartition(":")[2].isdigit()):
            problem = "lies in a Kaldi archive" if value else "has no audio file"
            scp.broken(number, f"{key!r} {problem}", "write the path of an audio file here")
            continue
        recordings[key] = (number, value, channel)
    table.findings.extend(scp.findings)
    return recordings


def read_kaldi(folder: Path) -> Table:
    """Read a data directory; paths in ``wav.scp`` are kept as they are.

    Rows stand in the order of ``segments`` (or ``wav.scp``), which line numbers refer to.
    """
    segments = folder / "segments"
    cut = segments.exists()
    table = Table(str(segments if cut else folder / "wav.scp"))
    before = len(table.findings)
    recordings = _recordings(folder / "wav.scp", table)
    complete = len(table.findings) == before
    columns: dict[str, list[str]] = {name: [] for name in ("id", "audio", CHANNEL_COLUMN)}
    if cut:
        columns |= {"start": [], "end": []}
        for key, (number, value) in _read(segments, table).items():
            words = value.split()
            if len(words) < 3:
                table.broken(number, f"{key!r}: `<utterance> <recording> <start> <end>` is expected")
            elif words[0] not in recordings:
                if complete:
                    table.broken(number, f"{key!r}: recording {words[0]!r} is not in wav.scp")
            else:
                _, audio, channel = recordings[words[0]]
                end = "" if words[2] == "-1" else words[2]
                _append(columns, (key, audio, channel, words[1], end))
                table.lines.append(number)
    else:
        for key, (number, audio, channel) in recordings.items():
            _append(columns, (key, audio, channel))
            table.lines.append(number)
    if not any(columns[CHANNEL_COLUMN]):
        del columns[CHANNEL_COLUMN]
    for name, file in (("text", "text"), ("speaker", "utt2spk"), ("duration", "utt2dur")):
        if (folder / file).exists() and not (name == "duration" and cut):
            columns[name] = _aligned(folder / file, table, columns["id"])
    table.columns = {name: TextColumn.of(column) for name, column in columns.items()}
    return table


def _append(columns: dict[str, list[str]], values: Iterable[str]) -> None:
    for column, value in zip(columns.values(), values, strict=True):
        column.append(value)


def _aligned(path: Path, table: Table, ids: list[str]) -> list[str]:
    """Values of ``path`` in the order of ``ids``; utterances on one side only are noted."""
    entries = _read(path, table)
    known = set(ids)
    for index, key in enumerate(ids):
        if key not in entries:
            table.unusable(index, f"{key!r} has no line in {path.name}")
    if not table.findings:
        table.findings.extend(
            Finding(message=f"{key!r} has no audio in {Path(table.file).name}", place=f"{path}:{number}")
            for key, (number, _) in entries.items()
            if key not in known
        )
    return [entries[key][1] if key in entries else "" for key in ids]
