"""``espnet3 compare EXP_A EXP_B``: the difference of two experiments' scores, with a paired bootstrap."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.measure.compare import Row, Scored


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 compare recipes/fsdd/asr/exp/training recipes/fsdd/asr/exp/wider"
    place = "an experiment, exp/<tag>, or its folder of one inference configuration"
    parser.add_argument("first", metavar="EXP_A", help=place)
    parser.add_argument("second", metavar="EXP_B", help="the other one; differences are B less A")
    parser.add_argument("--metric", metavar="ID", help="only this metric, by its id in conf/metrics.yaml")
    parser.add_argument(
        "--level", type=float, default=95.0, metavar="P", help="confidence in percent (default: 95)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print a row per metric and test set; exit code 2 when none of them can be compared."""
    import json
    from pathlib import Path

    from espnet3_core.errors import EXIT_USER
    from espnet3_core.measure.compare import Scored, compare

    sides = Scored.read(Path(args.first)), Scored.read(Path(args.second))
    rows = compare(*sides, args.metric, level=args.level)
    if args.json:
        found = {
            "first": str(sides[0].directory),
            "second": str(sides[1].directory),
            "level": args.level,
            "rows": [row.as_json() | {"provenance": _provenance(row, sides)} for row in rows],
        }
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(rows, sides, args.level)
    return 0 if any(row.difference for row in rows) else EXIT_USER


def _provenance(row: Row, sides: tuple[Scored, Scored]) -> list[dict[str, Any]]:
    return [side.scores[row.metric][row.test].get("provenance", {}) for side in sides]


def _print(rows: list[Row], sides: tuple[Scored, Scored], level: float) -> None:
    import sys

    from espnet3_core.measure.report import print_columns

    for letter, side, facts in zip("AB", sides, _provenance(rows[0], sides), strict=True):
        print(f"{letter}  {side.directory}{_training(facts.get('training', {}))}")
    headings = ("metric", "test set", "A", "B", "B - A", f"{level:g} % interval", "p", "drawn")
    print_columns(headings, [_cells(row) for row in rows], right=range(2, 7))
    for row in rows:
        for kind, lines in (("cannot be compared", row.problems), ("warning", row.warnings)):
            for line in lines:
                print(f"{row.metric} of {row.test}: {kind}: {line}", file=sys.stderr)


def _training(facts: dict[str, Any]) -> str:
    parts = [f"{facts['updates']:,} updates"] if "updates" in facts else []
    batch = facts.get("effective_batch", {})
    for key, unit in (("utterances", "utterances"), ("seconds", "s")):
        if key in batch:
            parts.append(f"{batch[key]:g} {unit} each")
    if "averaged" in facts:
        parts.append(f"average of {facts['averaged']} models")
    return f"  ({', '.join(parts)})" if parts else ""


def _cells(row: Row) -> tuple[str, ...]:
    scores = ["undefined" if score is None else f"{score:.2f}" for score in row.scores]
    if row.difference is None:
        return (row.metric, row.test, *scores, "", "", "", "")
    low, high = row.difference.interval
    p_value = "< 0.001" if row.difference.p_value < 0.001 else f"{row.difference.p_value:.3f}"
    return (
        row.metric, row.test, *scores,
        f"{row.difference.value:+.2f}", f"{low:+.2f} to {high:+.2f}", p_value, row.drawn,
    )  # fmt: skip
