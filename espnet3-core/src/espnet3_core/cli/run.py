"""``espnet3 run [RECIPE]``: the stages of a recipe that are not up to date."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from espnet3_core.errors import UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments; there is one option per role of the installed systems."""
    parser.epilog = "example: espnet3 run recipes/fsdd/asr --to train training.seed=3"
    parser.usage = (
        "espnet3 run [RECIPE] [--stages S …] [--from S] [--to S] [--force] [--dry-run]\n"
        "                   [--tag TAG] [--training STEM] [--inference STEM] … [ROLE.KEY=VALUE …]"
    )
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | ROLE.KEY=VALUE", help="the recipe's folder (.), and overrides"
    )
    parser.add_argument("--stages", nargs="+", action="extend", metavar="S", help="only these stages")
    parser.add_argument("--from", dest="from_", metavar="S", help="start with this stage")
    parser.add_argument("--to", metavar="S", help="end with this stage (default: measure)")
    parser.add_argument("--force", action="store_true", help="run stages that are up to date, too")
    parser.add_argument("--dry-run", action="store_true", help="say what would run and why; touch nothing")
    experiment_arguments(parser)


def experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that choose an experiment: its tag, and the YAML of each role."""
    parser.add_argument("--tag", help="name of the experiment (default: the training YAML's stem)")
    for role in known_roles():
        parser.add_argument(
            f"--{role}", metavar="STEM", help=f"conf/STEM.yaml for role {role} (default: {role})"
        )
    parser.add_argument(
        "--config", action="append", default=[], metavar="ROLE=STEM", help="the same for any role"
    )
    # Overrides may stand anywhere between the options.
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


def known_roles() -> list[str]:
    """Roles of core and of all installed systems."""
    from espnet3_core.catalog import current_catalog
    from espnet3_core.config.roles import SCHEMAS
    from espnet3_core.specs import SystemSpec

    systems = [entry.spec for entry in current_catalog().components("system")]
    added = [role for spec in systems if isinstance(spec, SystemSpec) for role in spec.roles]
    return list(dict.fromkeys([*SCHEMAS, *added]))


def chosen_stems(args: argparse.Namespace) -> dict[str, str]:
    """The stems that were given, by role."""
    stems = {role: stem for role in known_roles() if (stem := getattr(args, role.replace("-", "_"), None))}
    for text in args.config:
        role, equals, stem = text.partition("=")
        if not (role and equals and stem):
            raise UserError(f"--config {text}: ROLE=STEM is expected")
        stems[role] = stem
    return stems


def split_words(words: Iterable[str]) -> tuple[str, list[str]]:
    """The recipe's folder and the overrides among some words.

    Raises:
        UserError: There are two folders.
    """
    folders: list[str] = []
    overrides: list[str] = []
    for word in words:
        (overrides if "=" in word or word.startswith("~") else folders).append(word)
    if len(folders) > 1:
        raise UserError(
            f"one recipe is expected, not {', '.join(folders)}",
            hint="overrides look like ROLE.KEY=VALUE; stages stand after --stages",
        )
    return (folders[0] if folders else "."), overrides


def _stages(words: Sequence[str] | None) -> tuple[list[str] | None, list[str]]:
    """Stages among the words after ``--stages``, and the words that belong elsewhere."""
    if words is None:
        return None, []
    others = [word for word in words if "=" in word or "/" in word or word.startswith(".")]
    return [name for word in words if word not in others for name in word.split(",") if name], others


def run(args: argparse.Namespace) -> int:
    """Run the recipe."""
    from espnet3_core.recipe.run import run as run_recipe

    stages, others = _stages(args.stages)
    recipe, overrides = split_words([*args.words, *others])
    run_recipe(
        recipe,
        stages=stages,
        from_=args.from_,
        to=args.to,
        force=args.force,
        dry_run=args.dry_run,
        tag=args.tag,
        stems=chosen_stems(args),
        overrides=overrides,
    )
    return 0
