"""Rows of a corpus listing: TSV, CSV and JSONL files, every broken line found at once."""

from __future__ import annotations

import csv
import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

from espnet3_core.data.columns import ColumnBuilder, TextColumn
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.names import did_you_mean

ALIASES: dict[str, tuple[str, ...]] = {
    "audio": ("audio", "path", "wav", "audio_filepath", "file", "file_name", "filename", "filepath",
              "audio_path", "wav_path"),
    "text": ("text", "sentence", "transcript", "transcription"),
    "id": ("id", "utt_id", "key", "utterance_id", "utt", "uttid"),
    "speaker": ("speaker", "spk", "speaker_id", "spk_id", "client_id"),
    "start": ("start", "offset", "start_time", "begin"),
    "end": ("end", "end_time", "stop"),
    "duration": ("duration", "dur", "seconds"),
}  # fmt: skip
"""Usual headers of each field; case does not matter."""
_BLOCK = 1 << 22
_ROWS = 4096


@dataclass
class Table:
    """A listing, column by column.

    Attributes:
        file: The file that line numbers refer to.
        columns: Values by header, all of the same length.
        lines: Line number of each row; 0 where the row has none.
        findings: Broken lines, and rows that cannot be used.
        bad: Numbers of those rows.
        digest: Hash object over every byte read.
    """

    file: str
    columns: dict[str, TextColumn] = field(default_factory=dict)
    lines: array[int] = field(default_factory=lambda: array("q"))
    findings: list[Finding] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    digest: Any = field(default_factory=hashlib.sha256)

    def place(self, line: int) -> str:
        """``file:line``."""
        return f"{self.file}:{line}" if line else self.file

    def broken(self, line: int, message: str, hint: str | None = None) -> None:
        """Note a line that makes no row."""
        self.findings.append(Finding(message=message, place=self.place(line), hint=hint))

    def unusable(self, row: int, message: str, hint: str | None = None) -> None:
        """Note a row that cannot be used."""
        self.findings.append(Finding(message=message, place=self.place_of(row), hint=hint))
        self.bad.add(row)

    def place_of(self, row: int) -> str:
        """``file:line`` of a row; in a folder, its file."""
        line = self.lines[row]
        return self.place(line) if line else f"{self.file}/{self.columns['audio'][row]}"

    def __len__(self) -> int:
        return len(self.lines)


def read_lines(path: Path, table: Table) -> Iterator[str]:
    """Lines of a UTF-8 file (byte order mark and CR ignored); undecodable ones are noted and left empty.

    A part of the file is in memory at a time.

    Raises:
        UserError: The file cannot be read.
    """
    number = 1
    try:
        with path.open("rb") as stream:
            for block in _whole_lines(stream, table):
                try:
                    lines = block.decode("utf-8").split("\n")
                except UnicodeDecodeError:
                    lines = list(_decoded(block, number, table))
                number += len(lines)
                for line in lines:
                    yield line.removesuffix("\r")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _whole_lines(stream: IO[bytes], table: Table) -> Iterator[bytes]:
    """Parts of a file that end where a line does, without that line's end."""
    rest = b""
    first = True
    while block := stream.read(_BLOCK):
        table.digest.update(block)
        if first:
            block, first = block.removeprefix(b"\xef\xbb\xbf"), False
        head, end, tail = block.rpartition(b"\n")
        if end:
            yield rest + head
            rest = tail
        else:
            rest += block
    yield rest


def _decoded(block: bytes, number: int, table: Table) -> Iterator[str]:
    for line in block.split(b"\n"):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            table.broken(number, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
            yield ""
        number += 1


def read_tsv(path: Path) -> Table:
    """A tab-separated file with a header line; quotes have no meaning in it."""
    table = Table(str(path))
    rows = (
        (number, line.split("\t")) for number, line in enumerate(read_lines(path, table), 1) if line.strip()
    )
    return _with_header(table, rows)


def read_csv(path: Path) -> Table:
    """A comma-separated file with a header line, quoted as RFC 4180 says."""
    table = Table(str(path))
    return _with_header(table, _csv_rows(table, read_lines(path, table)))


def _csv_rows(table: Table, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader((f"{line}\n" for line in lines), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            table.broken(number, f"not valid CSV: {error}", "a quote inside a quoted field is written twice")
            continue
        if any(value.strip() for value in row):
            yield number, row


def _with_header(table: Table, rows: Iterator[tuple[int, list[str]]]) -> Table:
    first = next(rows, None)
    if first is None:
        return table
    header = [name.strip() for name in first[1]]
    for name in {name for name in header if header.count(name) > 1 or not name}:
        table.broken(first[0], f"two columns are called {name!r}" if name else "a column has no name")
    builders = [ColumnBuilder() for _ in header]

    def complete() -> Iterator[list[str]]:
        for number, row in rows:
            if len(row) != len(header):
                table.broken(number, f"{len(row)} fields, but the header has {len(header)}")
                continue
            table.lines.append(number)
            yield row

    good = complete()
    while part := list(islice(good, _ROWS)):
        for builder, values in zip(builders, zip(*part, strict=True), strict=True):
            builder.extend([value.strip() for value in values])
    table.columns = {name: builder.build() for name, builder in zip(header, builders, strict=True)}
    return table


def as_text(value: Any) -> str:
    """A scalar of JSON or YAML as the text that a TSV would hold: 1, 0.5, true."""
    if value is None:
        return ""
    if type(value) in (int, float):
        return repr(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_jsonl(path: Path) -> Table:
    """One JSON object per line; keys that a line lacks are empty there."""
    table = Table(str(path))
    builders: dict[str, ColumnBuilder] = {}
    rows = _json_rows(path, table)
    done = 0
    while part := list(islice(rows, _ROWS)):
        for key in dict.fromkeys(key for row in part for key in row):
            builders.setdefault(key, ColumnBuilder(empty=done))
        for key, builder in builders.items():
            values = [row.get(key) for row in part]
            builder.extend([value if type(value) is str else _json_value(value) for value in values])
        done += len(part)
    table.columns = {key: builder.build() for key, builder in builders.items()}
    return table


def _json_rows(path: Path, table: Table) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(read_lines(path, table), 1):
        if not line.strip():
            continue
        try:
            row = _parsed(line)
        except ValueError as error:
            table.broken(number, f"not valid JSON: {error}")
            continue
        if not isinstance(row, dict):
            table.broken(number, f"a JSON object is expected, not {type(row).__name__}")
            continue
        table.lines.append(number)
        yield row


def _parsed(line: str) -> Any:
    """A line of JSON, by pydantic's parser; what that refuses is for the standard library to judge."""
    from pydantic_core import from_json

    try:
        return from_json(line, cache_strings="keys")
    except ValueError:
        return json.loads(line)


def _json_value(value: Any) -> str:
    """Text of a value; Hugging Face's ``{"path": …}`` counts as its path."""
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return str(value["path"])
    return as_text(value)


def resolve_headers(table: Table, mapping: dict[str, str]) -> dict[str, str]:
    """Which header holds each of our fields.

    Args:
        table: The listing.
        mapping: Field to header, as the user's ``columns`` says; these win.

    Returns:
        Field to header, for the fields that the listing has.

    Raises:
        UserError: A header named in ``mapping`` does not exist, or two headers could be the same field.
    """
    found = dict(mapping)
    listed = ", ".join(table.columns)
    findings = [
        Finding(
            message=f"`columns` names the header {header!r} for {name}, not among: {listed}",
            place=table.place(1),
            hint=did_you_mean(header, table.columns),
        )
        for name, header in mapping.items()
        if header not in table.columns
    ]
    free = [header for header in table.columns if header not in mapping.values()]
    for name, aliases in ALIASES.items():
        candidates = [header for header in free if header.lower() in aliases]
        exact = [header for header in candidates if header.lower() == name]
        if name in mapping or not candidates:
            continue
        if len(candidates) > 1 and len(exact) != 1:
            findings.append(
                Finding(
                    message=f"columns {' and '.join(map(repr, candidates))} could each be the {name}",
                    place=table.place(1),
                    hint=f"say which one: `columns: {{{name}: {candidates[0]}}}`",
                )
            )
        found[name] = exact[0] if len(exact) == 1 else candidates[0]
    if findings:
        raise CheckFailed(findings)
    return found
