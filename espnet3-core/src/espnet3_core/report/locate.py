"""From what was typed to an experiment."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.recipe import RECIPE_FILE, find_recipes

_SHOWN = 8
_EXPERIMENTS = "exp"


@dataclass(frozen=True)
class Place:
    """An experiment and the recipe that it stands in.

    Attributes:
        experiment: The experiment.
        recipe: Its folder as commands name it; None for an experiment that was copied elsewhere.
    """

    experiment: Experiment
    recipe: Path | None

    def command(self, stage: str) -> str:
        """The command that runs a stage of this experiment."""
        words = ["espnet3", "run", str(self.recipe) if self.recipe else "RECIPE"]
        tag = self.experiment.tag
        if self.recipe and tag != "training":
            is_stem = (self.recipe / "conf" / f"{tag}.yaml").is_file()
            words += ["--training" if is_stem else "--tag", tag]
        return shlex.join([*words, "--stages", stage])


def find_experiment(given: Path) -> Place:
    """The experiment in a folder, or the only one of a recipe.

    Raises:
        UserError: There is none, or several; the message lists them.
    """
    if _is_experiment(given):
        return _placed(given)
    recipe = _recipe_of(given)
    if recipe is None:
        raise _no_experiment(given)
    found = list(_experiments(recipe))
    if not found:
        raise UserError(f"{recipe} has no experiment yet", hint=f"espnet3 run {shlex.quote(str(recipe))}")
    if len(found) > 1:
        raise UserError(f"{recipe} has {len(found)} experiments", hint=f"name one: {_listed(found)}")
    return _placed(found[0])


def _is_experiment(folder: Path) -> bool:
    """Whether a stage has run in it. A recipe is none, whatever else its folder holds."""
    if not folder.is_dir() or (folder / RECIPE_FILE).is_file():
        return False
    return (folder / "stages").is_dir() or (folder / "metrics.jsonl").is_file()


def _placed(folder: Path) -> Place:
    whole = folder.resolve()
    recipe = whole.parents[1] if len(whole.parents) > 1 else whole
    if not (recipe / RECIPE_FILE).is_file():
        return Place(Experiment(whole), None)
    # As it was typed, where what was typed has its parts: commands are to be repeated from there.
    typed = folder.parent.parent if len(folder.parts) > 1 else recipe
    return Place(Experiment(whole), typed if (typed / RECIPE_FILE).is_file() else recipe)


def _recipe_of(given: Path) -> Path | None:
    """The recipe that was named, by itself or by its folder of experiments."""
    if (given / RECIPE_FILE).is_file():
        return given
    above = given.parent if given.name == _EXPERIMENTS else None
    return above if above is not None and (above / RECIPE_FILE).is_file() else None


def _experiments(recipe: Path) -> Iterator[Path]:
    folder = recipe / _EXPERIMENTS
    yield from (path for path in sorted(folder.iterdir()) if _is_experiment(path)) if folder.is_dir() else ()


def _no_experiment(given: Path) -> UserError:
    for parent in given.resolve().parents:
        if _is_experiment(parent):
            return UserError(f"{given} lies in the experiment {parent}, and is none", hint=f"use {parent}")
    what = "it holds neither stages/ nor metrics.jsonl" if given.is_dir() else "there is no such folder"
    if given.exists() and not given.is_dir():
        what = "it is a file"
    return UserError(f"{given} is no experiment: {what}", hint=_hint(given))


def _hint(given: Path) -> str:
    # A bare name may be a tag of the recipe that one stands in: its relative parent is the place itself.
    above = (given, *given.parents, *given.absolute().parents)
    recipe = next((folder for folder in above if (folder / RECIPE_FILE).is_file()), None)
    if recipe is not None and (found := list(_experiments(recipe))):
        by_tag = {path.name: path for path in found}
        if given.name in by_tag:
            return f"use {by_tag[given.name]}"
        near = did_you_mean(given.name, by_tag)
        return " ".join(filter(None, [near, f"experiments there: {_listed(found)}"]))
    if recipes := find_recipes(given.absolute().parent):
        known = [path for folder in recipes for path in _experiments(folder)]
        return f"experiments nearby: {_listed(known)}" if known else f"espnet3 run {recipes[0]} makes one"
    return "name an experiment, exp/<tag> of a recipe in which a stage has run"


def _listed(paths: list[Path]) -> str:
    more = len(paths) - _SHOWN
    return ", ".join(map(str, paths[:_SHOWN])) + (f" and {more} more" if more > 0 else "")
