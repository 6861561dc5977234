"""Recipes as they stand in the repository."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
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
def no_corpora(monkeypatch):
    """A machine that has no corpora and no network."""
    for name in ("ESPNET3_CORPORA", "LIBRISPEECH"):
        monkeypatch.delenv(name, raising=False)
