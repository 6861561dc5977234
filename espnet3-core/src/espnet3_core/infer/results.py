"""Results on disk: ``results.jsonl`` in the order of the data, and what is finished while they are made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open, disk_errors, make_directory

RESULTS = "results.jsonl"
TEXTS = "text.scp"
SUMMARY = "summary.json"
PARTS = "parts"


def write_results(directory: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write the records of a test set, and ``text.scp`` when they have texts.

    Args:
        directory: Folder of the test set.
        records: One per utterance, in the order of the data.

    Returns:
        Path of ``results.jsonl``.
    """
    if any(isinstance(record.get("text"), str) for record in records):
        with atomic_open(directory / TEXTS) as stream:
            for record in records:
                stream.write(f"{record['id']} {one_line(str(record.get('text') or ''))}".rstrip(" ") + "\n")
    with atomic_open(directory / RESULTS) as stream:
        for record in records:
            stream.write(json_line(record))
    return directory / RESULTS


def read_results(file: Path) -> Iterator[dict[str, Any]]:
    """The records of a ``results.jsonl``.

    Raises:
        UserError: The file is missing or broken.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            for number, line in enumerate(stream, 1):
                yield _parsed(line, file, number)
    except FileNotFoundError:
        raise UserError(f"{file}: there are no results", hint="run the stage infer first") from None


def _parsed(line: str, file: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise UserError(
            f"{file}:{number}: not JSON: {error}", hint="run the stage infer with --force"
        ) from error
    if not isinstance(record, dict) or "id" not in record:
        raise UserError(
            f"{file}:{number}: a result with an id is expected", hint="run the stage infer with --force"
        )
    return record


def one_line(text: str) -> str:
    r"""A text on one line: ``\`` is written ``\\``, a line feed ``\n``, a carriage return ``\r``."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def json_line(record: Mapping[str, Any]) -> str:
    """A record as a line of JSON; numbers that JSON cannot say become null."""
    try:
        return json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        return json.dumps(_finite(record), ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


class Parts:
    """Finished records of a test set, kept until all are there: an interrupted run does the rest only.

    They stand in ``parts/<fingerprint>.jsonl``, one line per record with its index; the fingerprint covers
    whatever the records depend on, so that those of another model are never taken over.

    Args:
        directory: Folder of the test set.
        fingerprint: Of what the records depend on.
    """

    def __init__(self, directory: Path, fingerprint: str) -> None:
        self.folder = directory / PARTS
        self.file = self.folder / f"{fingerprint}.jsonl"
        self._stream: IO[bytes] | None = None

    def read(self, ids: Sequence[str]) -> dict[int, dict[str, Any]]:
        """Finished records by index. A line that was cut off, or of another utterance, is left out."""
        found: dict[int, dict[str, Any]] = {}
        if not self.file.is_file():
            return found
        for line in self.file.read_bytes().split(b"\n"):
            try:
                index, record = json.loads(line)
            except ValueError:
                continue
            if 0 <= index < len(ids) and record.get("id") == ids[index]:
                found[index] = record
        return found

    def add(self, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Keep some records.

        Raises:
            UserError: The disk is full or cannot be written.
        """
        with disk_errors(self.file):
            if self._stream is None:
                make_directory(self.folder)
                self._stream = self.file.open("ab")
                if self._stream.tell():
                    self._stream.write(b"\n")  # ends a line that was cut off
            for index, record in records.items():
                self._stream.write(f"[{index}, {json_line(record).rstrip()}]\n".encode())
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def remove(self) -> None:
        """All is written elsewhere: drop the records, and those of former attempts."""
        self.close()
        if self.folder.is_dir():
            for file in self.folder.iterdir():
                file.unlink()
            self.folder.rmdir()
