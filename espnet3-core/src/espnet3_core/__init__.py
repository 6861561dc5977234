"""A framework for speech systems in which every task is a plugin.

Imports nothing until used: ``espnet3_core.run`` runs a recipe's stages, ``espnet3_core.load`` opens a bundle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.bundle.load import load
    from espnet3_core.recipe.run import run

__all__ = ["load", "run"]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    homes = {"run": "espnet3_core.recipe.run", "load": "espnet3_core.bundle.load"}
    if name in homes:
        return getattr(import_module(homes[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
