"""``espnet3 data check RECIPE``: every utterance of a recipe that is bad, and in which way."""

from __future__ import annotations

import argparse
import json
import sys

from espnet3_core.errors import EXIT_USER


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from espnet3_core.cli.run import experiment_arguments

    parser.usage = (
        "espnet3 data check [RECIPE] [--training STEM] [--inference STEM] [--workers N] [--json] "
        "[ROLE.KEY=VALUE …]"
    )
    parser.epilog = (
        "Exit code 0: nothing that stops a run or spoils its results (warnings may be there); 2: something "
        "does; 75: interrupted, and the same command goes on. "
        "Example: espnet3 data check recipes/fsdd/asr"
    )
    parser.add_argument("action", choices=["check"], help="decode every utterance once")
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | ROLE.KEY=VALUE", help="the recipe's folder (.), and overrides"
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (default: cores, 8 at most)")
    parser.add_argument("--json", action="store_true", help="print all findings as JSON")
    experiment_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the findings; 2 when there is an error among them."""
    from espnet3_core.cli.run import chosen_stems, split_words
    from espnet3_core.data.checking.run import check_data
    from espnet3_core.recipe.run import stoppable

    folder, overrides = split_words(args.words)
    with stoppable():
        report = check_data(
            folder, tag=args.tag, stems=chosen_stems(args), overrides=overrides, workers=args.workers
        )
    if args.json:
        json.dump(report.as_json(), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        from espnet3_core.data.checking.report import print_report

        print_report(report)
    return 0 if report.ok else EXIT_USER
