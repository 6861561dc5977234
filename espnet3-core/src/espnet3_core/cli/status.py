"""``espnet3 status [RECIPE]``: what of an experiment is done, and what is out of date."""

from __future__ import annotations

import argparse
import json
import sys


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    from espnet3_core.cli.run import experiment_arguments

    parser.epilog = "example: espnet3 status recipes/fsdd/asr --training training_unseen"
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | ROLE.KEY=VALUE", help="the recipe's folder (.), and overrides"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    experiment_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table on stdout."""
    from espnet3_core.cli.run import chosen_stems, split_words
    from espnet3_core.recipe.status import status, table

    recipe, overrides = split_words(args.words)
    found = status(recipe, tag=args.tag, stems=chosen_stems(args), overrides=overrides)
    if args.json:
        json.dump(found.as_json(), sys.stdout, indent=2)
        print()
    else:
        print(table(found))
    return 0
