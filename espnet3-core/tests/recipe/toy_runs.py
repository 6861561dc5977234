"""What the tests of runs share: running, and looking at what was left."""

from __future__ import annotations

import json
from pathlib import Path

from espnet3_core.recipe.run import run

ALL = ["create_dataset", "train_tokenizer", "train", "infer", "measure"]


def ran(recipe, **options):
    return list(run(recipe, **options).ran)


def record(recipe, stage, tag="training"):
    return json.loads((recipe / "exp" / tag / "stages" / f"{stage}.json").read_text())


def tree(recipe):
    return {
        path: path.read_bytes() if path.is_file() else None
        for path in recipe.rglob("*")
        if "__pycache__" not in path.parts
    }


def edit(recipe: Path, name: str, old: str, new: str) -> None:
    text = (recipe / name).read_text()
    assert old in text
    (recipe / name).write_text(text.replace(old, new))
