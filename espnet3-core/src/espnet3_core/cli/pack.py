"""``espnet3 pack RECIPE``: the trained model as a bundle."""

from __future__ import annotations

import argparse
from pathlib import Path

from espnet3_core.cli.run import chosen_stems, experiment_arguments, split_words


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 pack recipes/fsdd/asr --to digits.zip"
    parser.usage = "espnet3 pack [RECIPE] [--to FILE] [--force] [--tag TAG] [--training STEM] … [KEY=VALUE …]"
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | ROLE.KEY=VALUE", help="the recipe's folder (.), and overrides"
    )
    parser.add_argument("--to", metavar="FILE", type=Path, help="write a .zip, .tar or .tar.gz of it, too")
    parser.add_argument("--force", action="store_true", help="pack again even when nothing has changed")
    experiment_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the stage pack_model, and print where the bundle is."""
    from espnet3_core.bundle.archive import write_archive
    from espnet3_core.recipe.run import run as run_recipe

    recipe, overrides = split_words(args.words)
    result = run_recipe(
        recipe,
        stages=["pack_model"],
        force=args.force,
        tag=args.tag,
        stems=chosen_stems(args),
        overrides=overrides,
    )
    bundle = result.experiment / "bundle"
    if args.to is not None:
        write_archive(bundle, args.to)
    print(args.to or bundle)
    return 0
