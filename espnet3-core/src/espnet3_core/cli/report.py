"""``espnet3 report EXP``: an experiment as one HTML page that needs nothing else."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet3_core.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 report recipes/fsdd/asr/exp/training -o digits.html"
    parser.add_argument(
        "experiment", type=Path, metavar="EXP", help="its folder, exp/<tag>, or a recipe that has one only"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="the page (default: report.html in the experiment)"
    )
    parser.add_argument(
        "--audio", type=int, default=10, metavar="N",
        help="utterances of each test set with players (default: 10); 0 for none",
    )  # fmt: skip
    parser.add_argument(
        "--utterances", type=int, default=20, metavar="N",
        help="utterances of each test set that are shown one by one, the worst (default: 20)",
    )  # fmt: skip
    parser.add_argument(
        "--metric", metavar="ID", help="what is worst by (default: the first in metrics.json)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    for option in ("audio", "utterances"):
        if getattr(args, option) < 0:
            raise UserError(f"--{option} {getattr(args, option)}: a number of utterances is at least 0")
    from espnet3_core.report.evidence import Evidence
    from espnet3_core.report.locate import find_experiment
    from espnet3_core.report.page import refuse_other, write_page

    place = find_experiment(args.experiment)
    output = args.output or place.experiment.directory / "report.html"
    refuse_other(output)
    evidence = Evidence.gather(place, metric=args.metric, utterances=args.utterances, audio=args.audio)
    size = write_page(evidence, output)
    print(f"{output}: {size / 1e6:.1f} MB")
    return 0
