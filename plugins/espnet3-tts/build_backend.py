"""Hatchling, except that ``pip install ./plugins/espnet3-tts`` in a checkout brings its core and speech.

Source distributions, the wheels made of them, and editable installations name versions as usual.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hatchling.build
from hatchling.build import *  # noqa: F403 - the other hooks of a build backend
from hatchling.metadata.plugin.interface import MetadataHookInterface

SIBLINGS = {"espnet3-core": "../../espnet3-core", "espnet3-speech": "../espnet3-speech"}
_FROM_CHECKOUT = "ESPNET3_DEPENDENCIES_FROM_CHECKOUT"


def build_wheel(*arguments: Any) -> str:
    """Hatchling's hook, which pip asks for metadata, too."""
    os.environ[_FROM_CHECKOUT] = "yes"
    try:
        return hatchling.build.build_wheel(*arguments)
    finally:
        del os.environ[_FROM_CHECKOUT]


class Dependencies(MetadataHookInterface):
    """Fills in the dependencies that ``pyproject.toml`` lists for this hook."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``dependencies``."""
        folders = {name: Path(self.root, folder).resolve() for name, folder in SIBLINGS.items()}
        there = all((folder / "pyproject.toml").is_file() for folder in folders.values())
        beside = folders if there and _FROM_CHECKOUT in os.environ else {}
        others = [text for text in self.config["dependencies"] if text.split(">")[0] not in beside]
        metadata["dependencies"] = [*(f"{name} @ {path.as_uri()}" for name, path in beside.items()), *others]
