"""Times and ids of the rows of a listing, with every bad row noted."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.columns import TextColumn
from espnet3_core.data.tables import Table


def times(table: Table, columns: Mapping[str, TextColumn]) -> tuple[NDArray[np.float64], ...]:
    """Start, end and whole duration of each row in seconds, NaN where unknown."""
    cut = "start" in columns or "end" in columns
    start = _numbers(table, columns.get("start"), "start", empty=0.0)
    end = _numbers(table, columns.get("end"), "end")
    whole = _numbers(table, columns.get("duration"), "duration")
    if cut:
        end = np.where(np.isnan(end), start + whole, end)
    for index in np.flatnonzero((end <= start) | (start < 0) | (whole <= 0)).tolist():
        shown = f"start {start[index]:g} s, end {end[index]:g} s" if cut else f"duration {whole[index]:g} s"
        table.unusable(index, f"an utterance must have a positive length: {shown}")
    return start, end, whole


def _numbers(
    table: Table, column: TextColumn | None, name: str, empty: float = math.nan
) -> NDArray[np.float64]:
    values = np.full(len(table), empty)
    for index, text in enumerate(column or ()):
        if text in ("", "-1"):
            continue
        try:
            value = values[index] = float(text)
        except ValueError:
            table.unusable(index, f"{name} is not a number of seconds: {text!r}")
            continue
        if not math.isfinite(value):
            table.unusable(index, f"{name} is not a finite number: {text!r}")
    return values


def derived_ids(
    audio: TextColumn | None, start: NDArray[np.float64], end: NDArray[np.float64], count: int
) -> list[str]:
    """Ids from file names: stem, or whole path where two stems are equal; segments add their times."""
    if audio is None:
        return [f"{index:0{max(6, len(str(count)))}d}" for index in range(count)]
    names = {path: os.path.splitext(os.path.basename(path))[0] for path in dict.fromkeys(audio)}
    if len(set(names.values())) < len(names):
        names = {path: os.path.splitext(path.removeprefix("./"))[0] for path in names}
    ids = []
    for path, first, last in zip(audio, start.tolist(), end.tolist(), strict=True):
        name = "_".join(names[path].split())
        if first or not math.isnan(last):
            tail = "end" if math.isnan(last) else f"{round(last * 1000):07d}"
            name = f"{name}-{round(first * 1000):07d}-{tail}"
        ids.append(name)
    return ids


def check_ids(table: Table, ids: TextColumn, *, explicit: bool) -> None:
    """Note ids that are empty, contain blanks, or stand twice."""
    if _distinct(ids, words=explicit):
        return
    first: dict[str, int] = {}
    for row, name in enumerate(ids):
        if explicit and (not name or len(name.split()) != 1):
            table.unusable(row, f"the id {name!r} contains a blank" if name else "the id is empty",
                           "ids are words without blanks")  # fmt: skip
        elif name in first:
            line = table.lines[first[name]]
            other = f"line {line}" if line else table.place_of(first[name])
            hint = "give the manifest a column `id`" if line else "leave one of the two out"
            table.unusable(row, f"duplicate id {name!r}: {other} has it, too", None if explicit else hint)
        else:
            first[name] = row


def _distinct(ids: TextColumn, *, words: bool) -> bool:
    """Whether ids are certainly all right, told from 64-bit hashes: equal ones may be so by chance."""
    if words and any(len(name.split()) != 1 for name in ids):
        return False
    hashes = np.sort(np.fromiter(map(hash, ids), np.int64, len(ids)))
    return not bool((hashes[1:] == hashes[:-1]).any())
