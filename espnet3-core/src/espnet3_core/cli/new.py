"""``espnet3 new recipe DIR``: a recipe from a template that a plugin brings."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from espnet3_core.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.epilog = "example: espnet3 new recipe mine --system asr/recognition --data audio/"
    parser.add_argument("what", metavar="recipe", help="what to make: recipe")
    parser.add_argument("directory", metavar="DIR", type=Path, help="folder to write; must not exist yet")
    parser.add_argument("--system", metavar="NAME", help="for example asr/recognition")
    parser.add_argument("--data", metavar="PATH", help="your data: a manifest, a folder, a Kaldi directory")
    parser.add_argument("--test", metavar="PATH", help="test data; without it, a tenth of --data")


def run(args: argparse.Namespace) -> int:
    """Write the recipe and print what to do next."""
    if args.what != "recipe":
        raise UserError(f"espnet3 new {args.what}: only recipes are made", hint="espnet3 new recipe DIR")
    if args.test and not args.data:
        raise UserError("--test needs --data: a recipe cannot be trained on test data alone")
    from espnet3_core.recipe.template import create_recipe

    notes = create_recipe(args.directory, system=args.system, data=args.data, test=args.test)
    folder = shlex.quote(str(args.directory))
    for note in notes:
        print(note)
    print(f"wrote {args.directory}; next:")
    if not args.data:
        print(f"  put your manifests where {folder}/conf/training.yaml says, then:")
    print(f"  espnet3 check {folder}")
    print(f"  espnet3 run {folder}")
    return 0
