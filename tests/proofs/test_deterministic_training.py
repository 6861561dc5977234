"""``trainer.deterministic: true``: two processes, in two places, write the same bytes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any


def trained(recipe: Any, place: Path, *overrides: str) -> dict[str, str]:
    """Hashes of all that training leaves: selected weights, their average, the state in ``last.ckpt``."""
    copy = type(recipe)(Path(shutil.copytree(recipe.directory, place)))
    done = copy.run("--to", "train", "training.trainer.deterministic=true", *overrides)
    assert done.returncode == 0, done.stderr
    folder = copy.directory / "exp/training_sample/checkpoints"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


def test_the_same_checkpoints_twice(small_recipe: Any, tmp_path: Path) -> None:
    """With dropout, SpecAugment, speed perturbation and shuffling; once with processes that load data."""
    first = trained(small_recipe, tmp_path / "a")
    assert {"last.ckpt", "average.safetensors", "index.json"} < first.keys()
    assert trained(small_recipe, tmp_path / "b", "training.batch.workers=2") == first
