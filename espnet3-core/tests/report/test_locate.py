"""What is typed: an experiment, a recipe, or something else, which is told in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from espnet3_core.report.locate import find_experiment

Command = Callable[..., tuple[int, str, str]]


def said(run_command: Command, *words: str | Path) -> str:
    code, out, err = run_command("report", *map(str, words))
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    return err


def test_a_recipe_stands_for_its_only_experiment(experiment: Path) -> None:
    recipe = experiment.parent.parent
    for given in (recipe, recipe / "exp", experiment):
        assert find_experiment(given).experiment.directory == experiment
        assert find_experiment(given).recipe == recipe


def test_a_recipe_with_several_lists_them(experiment: Path, run_command: Command) -> None:
    recipe = experiment.parent.parent
    shutil.copytree(experiment, recipe / "exp/wider")
    err = said(run_command, recipe)
    assert "has 2 experiments" in err
    assert str(experiment) in err and str(recipe / "exp/wider") in err


def test_a_misspelt_experiment(experiment: Path, run_command: Command) -> None:
    err = said(run_command, experiment.with_name("trainign"))
    assert "trainign is no experiment: there is no such folder" in err
    assert "did you mean 'training'?" in err and str(experiment) in err


def test_a_tag_alone_within_the_recipe(
    experiment: Path, run_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(experiment.parent.parent)
    assert "use exp/training" in said(run_command, "training")
    assert find_experiment(Path("exp/training")).command("infer") == "espnet3 run . --stages infer"
    assert find_experiment(Path()).experiment.directory == experiment


def test_other_places(experiment: Path, tmp_path: Path, run_command: Command) -> None:
    assert f"use {experiment}" in said(run_command, experiment / "inference")
    (tmp_path / "file.txt").write_text("")
    assert "it is a file" in said(run_command, tmp_path / "file.txt")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "it holds neither stages/ nor metrics.jsonl" in said(run_command, empty)
    (empty / "recipe.yaml").write_text("system: acme/x\n")
    assert f"{empty} has no experiment yet" in said(run_command, empty)
    assert "at least 0" in said(run_command, experiment, "--audio", "-1")


def test_commands_name_how_the_experiment_was_made(experiment: Path) -> None:
    recipe = experiment.parent.parent
    wider = recipe / "exp/wider"
    experiment.rename(wider)
    assert find_experiment(wider).command("infer") == f"espnet3 run {recipe} --tag wider --stages infer"
    (recipe / "conf").mkdir()
    (recipe / "conf/wider.yaml").write_text("")
    assert find_experiment(wider).command("infer") == f"espnet3 run {recipe} --training wider --stages infer"


def test_an_experiment_that_was_copied_elsewhere(experiment: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(experiment, tmp_path / "elsewhere"))
    found = find_experiment(moved)
    assert found.recipe is None
    assert found.command("measure") == "espnet3 run RECIPE --stages measure"
