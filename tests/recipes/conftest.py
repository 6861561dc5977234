"""Recipes as they stand in the repository."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from espnet3_core.cli.main import main
from espnet3_core.recipe.sources import sources_of

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture
def recipes() -> Path:
    return RECIPES


@pytest.fixture
def recipe_module() -> Callable[[str, str], ModuleType]:
    """A module of a recipe's own code: ``recipe_module("fsdd/asr", "dataset.builder")``."""

    def load(recipe: str, module: str) -> ModuleType:
        with sources_of(RECIPES / recipe).activate():
            return importlib.import_module(module)

    return load


@pytest.fixture
def run_recipe(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs a copy of a recipe through its scores, which it returns."""

    def run(recipe: str, *arguments: str) -> dict[str, Any]:
        copy = tmp_path / "copy"
        leave = shutil.ignore_patterns("data", "download", "exp", "__pycache__")
        shutil.copytree(RECIPES / recipe, copy, ignore=leave)
        assert main(["run", str(copy), *arguments]) == 0
        (scores,) = copy.glob("exp/*/*/metrics.json")
        found: dict[str, Any] = json.loads(scores.read_text("utf-8"))
        return found

    return run


@pytest.fixture
def no_corpora(monkeypatch):
    """A machine that has no corpora and no network."""
    for name in ("ESPNET3_CORPORA", "LIBRISPEECH"):
        monkeypatch.delenv(name, raising=False)
