"""The findings of a check of data as a table."""

from __future__ import annotations

import sys
from typing import IO

from espnet3_core.config.places import shown_path
from espnet3_core.data.checking.findings import DataFinding
from espnet3_core.data.checking.run import DataReport

_SHOWN = 3


def print_report(report: DataReport, file: IO[str] | None = None, shown: int = _SHOWN) -> None:
    """Print one row per kind: how many, the first few utterances, and what to do."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=file or sys.stdout, highlight=False)
    if not console.is_terminal:
        console.width = 1000  # what is not a terminal has no width to be kept to
    table = Table(box=None, pad_edge=False, padding=(0, 2, 1, 0))
    for heading in ("kind", "count", "first of them", "what to do"):
        table.add_column(heading, justify="right" if heading == "count" else "left", overflow="fold")
    groups: dict[str, list[DataFinding]] = {}
    for finding in report.findings:
        groups.setdefault(finding.kind, []).append(finding)
    for kind, found in sorted(groups.items(), key=lambda entry: (entry[1][0].level != "error", entry[0])):
        rest = [f"and {len(found) - shown} more"] if len(found) > shown else []
        examples = "\n".join([*map(as_line, found[:shown]), *rest])
        table.add_row(f"{kind} ({found[0].level})", str(len(found)), examples, found[0].hint or "")
    with console.capture() as capture:
        if groups:
            console.print(table, markup=False)
    for line in capture.get().splitlines():
        console.file.write(line.rstrip() + "\n")
    console.file.write(summary(report) + "\n")


def as_line(finding: DataFinding) -> str:
    """``file:line: 'id': reason``, with paths as the user would write them."""
    file, _, line = (finding.place or "").rpartition(":")
    head = f"{shown_path(file)}:{line}: " if file else ""
    reason = finding.reason
    if finding.audio:
        reason = reason if finding.audio in reason else f"{finding.audio} {reason}"
        reason = reason.replace(finding.audio, shown_path(finding.audio))
    return f"{head}{finding.id!r}: {reason}" if finding.id else f"{head}{reason}"


def summary(report: DataReport) -> str:
    """How much was checked and found, on one line."""
    sets = ", ".join(f"{name} {count:,}" for name, count in report.utterances.items())
    errors = sum(finding.level == "error" for finding in report.findings)
    warnings = len(report.findings) - errors
    if not report.findings:
        return f"no problem found ({sets} utterances)"
    return f"{errors} errors, {warnings} warnings ({sets} utterances)"
