"""Scores as a table on stdout."""

from __future__ import annotations

import sys
from collections.abc import Container, Mapping, Sequence
from typing import IO, Any

_NOT_SCORES = (
    "metric",
    "version",
    "better",
    "normalizers",
    "interval",
    "level",
    "interval_by",
    "provenance",
    "ratio",
)


def print_table(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], file: IO[str] | None = None) -> None:
    """Print scores (metric id, test set, values), the interval beside the main value."""
    rows = [(label, test, *_cells(found)) for label, tests in scores.items() for test, found in tests.items()]
    print_columns(("metric", "test set", "score", "interval", "details"), rows, right=(2, 3), file=file)


def print_columns(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Container[int] = (),
    file: IO[str] | None = None,
) -> None:
    """Print a table without lines; ``right`` are the columns that end at the right."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False)
    if not console.is_terminal:
        # What is not a terminal has no width to be kept to.
        console.width = 200
    table = Table(box=None, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number in right else "left")
    for row in rows:
        table.add_row(*row)
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")  # rich fills lines up with blanks


def parts(values: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Key of the main value of a metric, and the details beside it."""
    shown = {key: value for key, value in values.items() if key not in _NOT_SCORES}
    main = next(iter(shown), None)
    return main, {
        key: value for key, value in shown.items() if key != main and not (key == "failed" and not value)
    }


def _cells(values: Mapping[str, Any]) -> tuple[str, str, str]:
    main, rest = parts(values)
    interval = values.get("interval")
    between = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
    details = ", ".join(f"{key.replace('_', ' ')} {_number(value)}" for key, value in rest.items())
    return (_number(values[main]) if main else ""), between, details


def _number(value: Any) -> str:
    if value is None:
        return "undefined"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
