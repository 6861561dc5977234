"""Rows of a corpus listing: TSV, CSV and JSONL files, every broken line found at once."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Table:
    """A listing, column by column.

    Attributes:
        file: The file that line numbers refer to.
        columns: Values by header, all of the same length.
        lines: Line number of each row; 0 where the row has none.
        findings: Broken lines.
        bad: Their numbers.
        digest: Hash object over every byte read.
    """

    file: str
    columns: dict[str, list[str]] = field(default_factory=dict)
    lines: list[int] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    bad: set[int] = field(default_factory=set)
    digest: Any = field(default_factory=hashlib.sha256)

    def place(self, line: int) -> str:
        """``file:line``."""
        return f"{self.file}:{line}" if line else self.file

    def broken(self, line: int, message: str, hint: str | None = None) -> None:
        """Note a broken line."""
        self.findings.append(Finding(message=message, place=self.place(line), hint=hint))
        self.bad.add(line)

    def __len__(self) -> int:
        return len(self.lines)


def read_lines(path: Path, table: Table) -> list[str]:
    """Lines of a UTF-8 file (byte order mark and CR ignored); undecodable ones are noted and left empty.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    table.digest.update(data)
    try:
        return [line.removesuffix("\r") for line in data.decode("utf-8-sig").split("\n")]
    except UnicodeDecodeError:
        return list(_decoded(data, table))


def _decoded(data: bytes, table: Table) -> Iterator[str]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            yield line.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            table.broken(number, f"byte {error.start + 1} is not UTF-8", "save the file as UTF-8")
            yield ""


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


def _csv_rows(table: Table, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
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
    columns: list[list[str]] = [[] for _ in header]
    for number, row in rows:
        if len(row) != len(header):
            table.broken(number, f"{len(row)} fields, but the header has {len(header)}")
            continue
        table.lines.append(number)
        for column, value in zip(columns, row, strict=True):
            column.append(value.strip())
    table.columns = dict(zip(header, columns, strict=True))
    return table


def as_text(value: Any) -> str:
    """A scalar of JSON or YAML as the text that a TSV would hold: 1, 0.5, true."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def read_jsonl(path: Path) -> Table:
    """One JSON object per line; keys that a line lacks are empty there."""
    table = Table(str(path))
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(read_lines(path, table), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            table.broken(number, f"not valid JSON: {error}")
            continue
        if not isinstance(row, dict):
            table.broken(number, f"a JSON object is expected, not {type(row).__name__}")
            continue
        rows.append(row)
        table.lines.append(number)
    keys = dict.fromkeys(key for row in rows for key in row)
    for key in keys:
        table.columns[key] = [_json_value(row.get(key)) for row in rows]
    return table


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
