"""What training has logged (``metrics.jsonl``) as curves, and where its time went."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

Point = tuple[float, float]
"""Step and value."""

SPEEDS = {
    "step_time": "seconds per step",
    "utterances_per_second": "utterances per second",
    "data_wait": "waiting for data, share of the time",
    "padding": "padding, share of the samples",
}
"""Values of intervals that tell of speed, and what they are."""


@dataclass(frozen=True)
class Curve:
    """A value over the training.

    Attributes:
        name: Without ``train/`` or ``valid/``.
        intervals: Of training, means between two log lines.
        epochs: Of training, means of epochs, at their ends.
        valid: Of validations.
    """

    name: str
    intervals: tuple[Point, ...] = ()
    epochs: tuple[Point, ...] = ()
    valid: tuple[Point, ...] = ()

    @property
    def points(self) -> tuple[tuple[Point, ...], ...]:
        """All points; two curves of equal points are one."""
        return self.intervals, self.epochs, self.valid

    @property
    def constant(self) -> float | None:
        """The value of a curve that has one only, more than once."""
        values = {value for part in self.points for _, value in part}
        points = max(map(len, self.points))
        return next(iter(values)) if len(values) == 1 and points > 1 else None


@dataclass(frozen=True)
class Journal:
    """The whole records of a log.

    Attributes:
        records: In the order of writing.
        broken: Numbers of lines that are no records, the one that is being written not among them.
    """

    records: tuple[Mapping[str, Any], ...] = ()
    broken: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Journal:
        """Up to the last whole line: training may be writing the next one."""
        if not path.is_file():
            return cls()
        records, broken = [], []
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        for number, line in enumerate(whole.split(b"\n"), 1):
            record = _record(line)
            if record is not None:
                records.append(record)
            elif line.strip():
                broken.append(number)
        return cls(tuple(records), tuple(broken))

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """Records of a kind, without those of epochs that ended early."""
        return [record for record in self.records if record.get("kind") == kind and not record.get("partial")]

    @property
    def steps(self) -> int:
        """Optimizer steps done by the last record."""
        return max((int(record["step"]) for record in self.records), default=0)

    @cached_property
    def epoch_ends(self) -> list[tuple[int, int]]:
        """Epochs, counted from 0, with the step at which each ended."""
        return [(int(record["epoch"]), int(record["step"])) for record in self.of("epoch")]

    def curves(self) -> list[Curve]:
        """All values of training and validation, in the order in which they first appear, losses first."""
        names = dict.fromkeys(
            key.partition("/")[2]
            for record in self.records
            for key in record
            if key.startswith(("train/", "valid/"))
        )
        ordered = sorted(names, key=lambda name: (name != "loss", "loss" not in name))
        found = [
            Curve(
                name,
                tuple(self.points("interval", f"train/{name}")),
                tuple(self.points("epoch", f"train/{name}")),
                tuple(self.points("valid", f"valid/{name}")),
            )
            for name in ordered
        ]
        return [curve for curve in found if curve.intervals or curve.epochs or curve.valid]

    def points(self, kind: str, key: str) -> Iterator[Point]:
        """Steps and finite values of a key."""
        for record in self.of(kind):
            value = record.get(key)
            if isinstance(value, (int, float)) and math.isfinite(value):
                yield float(record["step"]), float(value)

    def not_finite(self) -> list[tuple[str, int]]:
        """Keys and steps of values that were written as words: ``nan``, ``inf``."""
        return [
            (key, int(record["step"]))
            for record in self.records
            for key, value in record.items()
            if isinstance(value, str) and value in ("nan", "inf", "-inf")
        ]

    def rates(self) -> dict[str, list[Point]]:
        """Learning rates: ``lr``, or ``lr/<name>`` of named optimizers."""
        names = dict.fromkeys(
            key for record in self.records for key in record if key == "lr" or key[:3] == "lr/"
        )
        return {name: sorted({*self.points("interval", name), *self.points("epoch", name)}) for name in names}

    def epoch_seconds(self) -> float:
        """Seconds of all epochs that have ended, validation included."""
        return math.fsum(float(record.get("seconds") or 0) for record in self.records)

    def waiting(self) -> float | None:
        """Share of the time in training steps that was spent waiting for data; None before any is known."""
        total = waited = 0.0
        last = 0
        for record in self.records:
            step = int(record["step"])
            if record.get("kind") == "interval" and "step_time" in record and "data_wait" in record:
                seconds = float(record["step_time"]) * max(step - last, 1)
                total += seconds
                waited += float(record["data_wait"]) * seconds
            last = max(last, step)
        return waited / total if total else None


def bound_words(waiting: float) -> str:
    """What bounds a training that waits for data for a share of its time.

    What may be done about it stands in the log, at the end of training.

    >>> bound_words(0.07)
    'compute-bound: 7 % of the time of training steps is waiting for data'
    """
    head = "data-bound" if waiting > 0.5 else "compute-bound"
    return f"{head}: {100 * waiting:.0f} % of the time of training steps is waiting for data"


def thinned(points: Sequence[Point], most: int = 400) -> list[Point]:
    """Points to draw: of many, the lowest and the highest of each stretch, so that no spike is lost."""
    if len(points) <= most:
        return list(points)
    kept: list[Point] = []
    count = most // 2
    for part in range(count):
        stretch = points[part * len(points) // count : (part + 1) * len(points) // count]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends)
    return kept


def _record(line: bytes) -> Mapping[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    known = isinstance(record, dict) and all(isinstance(record.get(key), int) for key in ("epoch", "step"))
    return record if known else None
