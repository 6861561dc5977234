"""``espnet3 check RECIPE``: all mistakes of a recipe's configuration, without running it."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from espnet3_core.cli.run import known_roles, split_words
from espnet3_core.errors import EXIT_USER, Finding

if TYPE_CHECKING:
    from espnet3_core.config.check import Checked


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments; there is one option per role of the installed systems."""
    parser.epilog = "example: espnet3 check recipes/fsdd/asr training.optimizer.lr=1e-3"
    parser.usage = (
        "espnet3 check [RECIPE] [--training STEM …] [--inference STEM …] … [--json] [ROLE.KEY=VALUE …]"
    )
    parser.add_argument(
        "words", nargs="*", metavar="RECIPE | ROLE.KEY=VALUE", help="the recipe's folder (.), and overrides"
    )
    for role in known_roles():
        parser.add_argument(
            f"--{role}",
            nargs="+",
            action="extend",
            metavar="STEM",
            help=f"check conf/STEM.yaml for role {role} (default: {role})",
        )
    parser.add_argument("--all", action="store_true", help="check every variant in conf/")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    """Print the findings; 2 when there is an error among them."""
    from espnet3_core.config.check import check_folder

    stems, overrides = _stems(args)
    folder, more = split_words(args.words)
    if args.all:
        stems = {**_variants(folder), **stems}
    checked = check_folder(folder, stems, [*overrides, *more])
    if args.json:
        print(json.dumps(as_json(checked), indent=2))
    else:
        for finding in checked.findings:
            print(as_text(finding))
        print(summary(folder, checked), file=sys.stderr if not checked.ok else sys.stdout)
    return 0 if checked.ok else EXIT_USER


def _stems(args: argparse.Namespace) -> tuple[dict[str, Sequence[str]], list[str]]:
    """Stems by role, and the overrides that stood behind a role's option."""
    from espnet3_core.recipe.recipe import stem_of

    stems: dict[str, Sequence[str]] = {}
    overrides: list[str] = []
    for role in known_roles():
        given = getattr(args, role.replace("-", "_"), None) or []
        overrides += [word for word in given if "=" in word or word.startswith("~")]
        chosen = [stem_of(word) for word in given if "=" not in word and not word.startswith("~")]
        if chosen:
            stems[role] = chosen
    return stems, overrides


def _variants(folder: str) -> dict[str, Sequence[str]]:
    """Every file in ``conf/`` by the role that its name begins with, the plain one first."""
    from espnet3_core.recipe.recipe import Recipe

    recipe = Recipe.load(folder)
    found: dict[str, Sequence[str]] = {}
    for role in known_roles():
        stems = [stem for stem in recipe.stems(role) if "/" not in stem]
        if stems:
            found[role] = sorted(stems, key=lambda stem: (stem != role, stem))
    return found


def as_text(finding: Finding) -> str:
    """A finding as a line, with its hint on the next."""
    return f"warning: {finding}" if finding.level == "warning" else str(finding)


def summary(folder: str, checked: Checked) -> str:
    """The last line."""
    errors = sum(finding.level == "error" for finding in checked.findings)
    if errors:
        return f"{folder}: {errors} mistake{'s' if errors != 1 else ''}"
    files = ", ".join(
        f"{reading.role} ({reading.config.stem})" for reading in checked.readings if reading.config
    )
    parts = sum(len(reading.parts) for reading in checked.readings)
    return f"{folder}: ok; {files}; {parts} components"


def as_json(checked: Checked) -> dict[str, object]:
    """The outcome as a JSON object."""
    return {
        "ok": checked.ok,
        "findings": [dataclasses.asdict(finding) for finding in checked.findings],
        "files": {
            f"{reading.role}/{reading.config.stem}": list(reading.config.files)
            for reading in checked.readings
            if reading.config is not None
        },
    }
