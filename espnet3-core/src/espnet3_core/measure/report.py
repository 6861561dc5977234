"""Scores as a table on stdout."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import IO, Any

_NOT_SCORES = ("metric", "version", "normalizers", "interval", "level", "interval_by")


def print_table(scores: Mapping[str, Mapping[str, Mapping[str, Any]]], file: IO[str] | None = None) -> None:
    """Print scores (metric id, test set, values), the interval beside the main value."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False)
    if not console.is_terminal:
        # What is not a terminal has no width to be kept to.
        console.width = 200
    table = Table(box=None, pad_edge=False)
    for heading in ("metric", "test set"):
        table.add_column(heading)
    for heading in ("score", "interval"):
        table.add_column(heading, justify="right")
    table.add_column("details")
    for label, tests in scores.items():
        for test, values in tests.items():
            table.add_row(label, test, *_cells(values))
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")  # rich fills lines up with blanks


def _cells(values: Mapping[str, Any]) -> tuple[str, str, str]:
    shown = {key: value for key, value in values.items() if key not in _NOT_SCORES}
    main = next(iter(shown), None)
    interval = values.get("interval")
    between = f"{interval[0]:.2f} to {interval[1]:.2f}" if interval else ""
    details = ", ".join(
        f"{key.replace('_', ' ')} {_number(value)}"
        for key, value in shown.items()
        if key != main and not (key == "failed" and not value)
    )
    return (_number(shown[main]) if main else ""), between, details


def _number(value: Any) -> str:
    if value is None:
        return "undefined"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
