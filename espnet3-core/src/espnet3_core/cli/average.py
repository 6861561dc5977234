"""``espnet3 average EXPERIMENT``: the average of selected models, made again."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet3_core.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 average recipes/fsdd/asr/exp/training --keep 3"
    parser.add_argument("experiment", type=Path, metavar="EXPERIMENT", help="its folder, or its checkpoints")
    parser.add_argument(
        "files", nargs="*", metavar="FILE", help="average these models (default: the best that training kept)"
    )
    parser.add_argument("--monitor", help="value by which training selected (default: the first)")
    parser.add_argument("--keep", type=int, metavar="K", help="average the best K (default: all kept)")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE",
        help="where it goes (default: what inference calls average, which is replaced)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the average, and say what is in it."""
    from espnet3_core.train.averages import average_again

    if args.files and args.keep is not None:
        raise UserError("--keep chooses among the best, and files are given", hint="leave one of the two out")
    if args.keep is not None and args.keep < 1:
        raise UserError(f"--keep {args.keep}: at least one model is averaged")
    path, models = average_again(
        args.experiment, monitor=args.monitor, keep=args.keep, files=args.files, output=args.output
    )
    for kept in models:
        print(f"{kept.file}  {kept.value:.5g}")
    print(f"{path}: average of {len(models)} model{'s' if len(models) != 1 else ''}")
    return 0
