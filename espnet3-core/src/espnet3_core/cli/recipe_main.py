"""``python run.py`` in a recipe: ESPnet3's options, for people and scripts that are used to them.

A recipe's ``run.py`` is two lines::

    from espnet3_core.cli.recipe_main import main

    main(__file__)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from espnet3_core.cli.run import known_roles, split_words


def main(file: str, arguments: Sequence[str] | None = None) -> None:
    """Run the recipe that a ``run.py`` stands in, then leave with the exit code of ``espnet3 run``.

    Args:
        file: ``__file__`` of ``run.py``.
        arguments: Words of the command line; None for this process's own.
    """
    from espnet3_core.cli.main import main as espnet3

    words = sys.argv[1:] if arguments is None else list(arguments)
    sys.exit(espnet3(translate(Path(file).resolve().parent, words)))


def translate(recipe: Path, words: Sequence[str]) -> list[str]:
    """Words for ``espnet3`` from those of ESPnet3's ``run.py``.

    ``--stages all`` stands for everything through ``measure``: uploads have to be named.
    """
    parser = argparse.ArgumentParser(prog="run.py", description=f"Run the recipe {recipe}.")
    parser.add_argument("--stages", nargs="+", metavar="S", help="stages (default: through measure)")
    for role in known_roles():
        parser.add_argument(f"--{role}_config", f"--{role}", dest=f"config_{role}", metavar="YAML")
    parser.add_argument("--dry_run", "--dry-run", action="store_true", help="say what would run")
    parser.add_argument("--force", action="store_true", help="run stages that are up to date, too")
    parser.add_argument("--from", dest="from_", metavar="S", help="start with this stage")
    parser.add_argument("--to", metavar="S", help="end with this stage")
    parser.add_argument("--tag", help="name of the experiment")
    parser.add_argument("overrides", nargs="*", metavar="ROLE.KEY=VALUE")
    args = parser.parse_intermixed_args(list(words))
    folder, overrides = split_words(args.overrides)
    if folder != ".":
        parser.error(f"{folder!r} is neither an option nor an override; overrides look like ROLE.KEY=VALUE")
    translated = ["run", str(recipe), *overrides]
    for role in known_roles():
        if stem := getattr(args, f"config_{role}"):
            translated.append(f"--{role}={stem}")
    for option, value in (("--from", args.from_), ("--to", args.to), ("--tag", args.tag)):
        translated += [f"{option}={value}"] if value else []
    translated += ["--dry-run"] * args.dry_run + ["--force"] * args.force
    stages = [word for word in args.stages or () if word != "all"]
    return translated + (["--stages", *stages] if stages else [])
