"""A recipe with a system of its own, whose stages write one line each and need no torch."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for toy_runs

SYSTEM = """
    from dataclasses import replace
    from pathlib import Path
    from espnet3_core.recipe.stages import (
        CREATE_DATASET, INFER, MEASURE, TRAIN, TRAIN_TOKENIZER, UPLOAD_MODEL
    )
    from espnet3_core.specs import SystemSpec

    def said(context, text):
        with open(context.recipe.directory / "said.txt", "a") as stream:
            stream.write(f"{context.stage.name} {text}\\n")

    def create(context):
        said(context, "ran")

    def tokenizer(context):
        path = context.experiment.tokenizer
        path.mkdir(parents=True, exist_ok=True)
        (path / "tokens.txt").write_text(str(context.node("training").get("tokenizer")))
        said(context, "ran")

    def train(context):
        path = context.experiment.checkpoints
        path.mkdir(parents=True, exist_ok=True)
        epochs = context.config("training").trainer.get("max_epochs", 1)
        if (context.recipe.directory / "stop").exists():
            (path / "last.ckpt").write_text("half")
            raise KeyboardInterrupt
        (path / "last.ckpt").write_text(f"seed {context.config('training').seed} epochs {epochs}")
        said(context, f"ran to {epochs}")

    def infer(context):
        for name in context.config("inference").test_sets:
            path = context.results_file(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            weights = (context.experiment.checkpoints / "last.ckpt").read_text()
            path.write_text(weights + str(context.config("training").seed))
        context.note(seed=context.config("training").seed)
        said(context, "ran")

    def measure(context):
        (context.inference_directory / "metrics.json").write_text("{}")
        said(context, "ran")

    def upload(context):
        said(context, "ran")

    SYSTEM = SystemSpec(
        name="recipe/toy",
        stages=(
            replace(CREATE_DATASET, run=create),
            replace(TRAIN_TOKENIZER, run=tokenizer),
            replace(TRAIN, run=train),
            replace(INFER, run=infer),
            replace(MEASURE, run=measure),
            replace(UPLOAD_MODEL, run=upload),
        ),
    )
"""
DATA = """
    import hashlib
    from pathlib import Path

    class Lines:
        def __init__(self, path, recipe_dir):
            self.path = Path(recipe_dir) / path
            self.lines = self.path.read_text().split()

        def __len__(self):
            return len(self.lines)

        def __getitem__(self, index):
            return {"id": str(index), "text": self.lines[index]}

        def fingerprint(self):
            return hashlib.sha256(self.path.read_bytes()).hexdigest()
"""
FILES = {
    "recipe.yaml": "name: toy\nsystem: {_target_: src.system.SYSTEM}\n",
    "src/system.py": SYSTEM,
    "src/data.py": DATA,
    "src/model.py": "class Model:\n    pass\n",
    "data/train.txt": "a b c\n",
    "data/test.txt": "a b\n",
    "conf/training.yaml": """
        seed: 1
        dataset:
          train: {_target_: src.data.Lines, path: data/train.txt}
        model: {_target_: src.model.Model}
        trainer: {max_epochs: 2, devices: 1}
    """,
    "conf/inference.yaml": """
        checkpoint: last
        test_sets:
          test: {_target_: src.data.Lines, path: data/test.txt}
    """,
    "conf/metrics.yaml": "metrics: {}\n",
    "conf/publication.yaml": "title: toy\n",
}


def write_files(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return directory


@pytest.fixture
def make_recipe(tmp_path: Path) -> Callable[..., Path]:
    """Writes the toy recipe below the test's folder, with some files changed."""

    def make(name: str = "toy", **changed: str) -> Path:
        files = {
            **FILES,
            **{key.replace("__", "/").replace("_dot_", "."): text for key, text in changed.items()},
        }
        return write_files(tmp_path / name, files)

    return make


@pytest.fixture
def toy(make_recipe: Callable[..., Path]) -> Path:
    """The toy recipe."""
    return make_recipe()


def said(recipe: Path) -> list[str]:
    """What the stages said since the last call."""
    file = recipe / "said.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    file.write_text("")
    return lines


@pytest.fixture(name="said")
def said_fixture() -> Callable[[Path], list[str]]:
    return said
