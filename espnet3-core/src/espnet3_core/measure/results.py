"""Results and references, joined by utterance id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.data.dataset import ids_of
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

_SHOWN = 5


def read_results(path: Path) -> list[dict[str, Any]]:
    """The records of ``results.jsonl``.

    Raises:
        UserError: The file is missing, a line is not a record, or an id occurs twice; all are listed.
    """
    try:
        # Not splitlines(): JSON strings may hold U+2028.
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise UserError(f"{path}: there are no results", hint="run the stage infer first") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 text ({error})", hint="run the stage infer again") from None
    records: list[dict[str, Any]] = []
    problems: list[str] = []
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parse(line)
        if isinstance(record, str):
            problems.append(f"{path}:{number}: {record}")
            continue
        before = first.setdefault(record["id"], number)
        if before != number:
            problems.append(f"{path}:{number}: utterance {record['id']!r} stands in line {before} already")
        records.append(record)
    if problems:
        raise UserError(_listed(problems), hint="run the stage infer again with --force")
    return records


def _parse(line: str) -> dict[str, Any] | str:
    try:
        record = json.loads(line)
    except ValueError as error:
        return f"not JSON: {error}"
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        return "not a result: an object with a text `id` is expected"
    return record


def _listed(problems: Sequence[str]) -> str:
    more = len(problems) - _SHOWN
    return "\n".join([*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else [])])


class References:
    """The fields of a test set by utterance id; audio is decoded only where nothing else has the field.

    Args:
        dataset: Anything with ``__len__`` and ``__getitem__``, see :class:`espnet3_core.protocols.Dataset`.
        name: Name of the test set, for messages.

    Raises:
        UserError: An id occurs twice.
    """

    def __init__(self, dataset: Any, name: str) -> None:
        self._dataset = dataset
        self._name = name
        self._columns: dict[str, Any] = {}
        self._index = {utterance: position for position, utterance in enumerate(ids_of(dataset))}

    def check(self, path: Path, ids: Iterable[str]) -> None:
        """Compare the ids of results with those of the test set.

        Raises:
            UserError: Utterances are missing in the results, or unknown to the test set; they are named.
        """
        present = set(ids)
        missing = [utterance for utterance in self._index if utterance not in present]
        unknown = sorted(present - self._index.keys())
        problems = []
        if missing:
            problems.append(f"{path}: no result for {len(missing)} of {len(self._index)}: {names(missing)}")
        if unknown:
            problems.append(f"{path}: {len(unknown)} not in test set {self._name!r}: {names(unknown)}")
        if problems:
            raise UserError(
                "\n".join(problems),
                hint="the test set has changed since it was decoded: run the stage infer again",
            )

    def field(self, utterance: str, field: str) -> Any:
        """A field of an utterance.

        Raises:
            UserError: The test set has no such field.
        """
        position = self._index[utterance]
        if field in (getattr(self._dataset, "column_names", None) or ()):
            # A Hugging Face dataset: one column is read without decoding the audio in another.
            if field not in self._columns:
                self._columns[field] = self._dataset[field]
            return self._columns[field][position]
        described = self._described(position)
        item = described if field in described else self._dataset[position]
        if field not in item:
            raise UserError(
                f"test set {self._name!r}, utterance {utterance!r}: there is no field {field!r}",
                hint=did_you_mean(field, item, otherwise=f"its fields are {', '.join(sorted(item))}"),
            )
        return item[field]

    def _described(self, position: int) -> Mapping[str, Any]:
        if not callable(getattr(self._dataset, "describe", None)):
            return {}
        try:
            described: Mapping[str, Any] = self._dataset.describe(position)
        except KeyError:
            # A transform of the recipe wants the audio, which only the whole item has.
            return {}
        return described


def names(ids: Sequence[str]) -> str:
    """The first few ids, and how many more there are."""
    more = len(ids) - _SHOWN
    return ", ".join(ids[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
