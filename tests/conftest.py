"""What the tests that cross packages share: a small recipe on real files, and the command."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FSDD = ROOT / "recipes/fsdd/asr"
VARIANT = ("--training", "training_sample", "--inference", "inference_sample")
UTTERANCES = {"train": 12, "valid": 3, "test": 4}


@dataclass
class SmallRecipe:
    """The digits recipe in a folder of its own, with a few utterances of its sample."""

    directory: Path

    @property
    def manifest(self) -> Path:
        """The manifest of all splits."""
        return self.directory / "sample/manifest.tsv"

    def rows(self) -> list[str]:
        """Lines of the manifest; the first is the header."""
        return self.manifest.read_text("utf-8").splitlines()

    def write(self, rows: list[str]) -> None:
        """Replace the manifest."""
        self.manifest.write_text("\n".join(rows) + "\n", "utf-8")

    def audio(self, line: int) -> Path:
        """The audio file of a line of the manifest (the header is line 1)."""
        rows = self.rows()
        column = rows[0].split("\t").index("path")
        return self.manifest.parent / rows[line - 1].split("\t")[column]

    def line_of(self, split: str) -> int:
        """Number of the first line of a split."""
        return next(number for number, row in enumerate(self.rows(), 1) if row.split("\t")[-1] == split)

    def espnet3(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command in the recipe's folder, in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "espnet3_core", *arguments],
            cwd=self.directory,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """``espnet3 run`` on the sample, with a model that is quick to train."""
        small = ("training.model.encoder.hidden_size=8", "training.trainer.max_epochs=1")
        return self.espnet3("run", *VARIANT, *small, *arguments, **environment)


def make_small_recipe(directory: Path) -> SmallRecipe:
    """Copy the recipe with a few utterances per split."""
    shutil.copytree(
        FSDD, directory, ignore=shutil.ignore_patterns("exp", "data", "download", "flac", "__pycache__")
    )
    with (FSDD / "sample/manifest.tsv").open(encoding="utf-8", newline="") as lines:
        header, *rows = csv.reader(lines, delimiter="\t")
    split, path = header.index("split"), header.index("path")
    kept = [
        row for name, count in UTTERANCES.items() for row in [r for r in rows if r[split] == name][:count]
    ]
    (directory / "sample/flac").mkdir(parents=True)
    for row in kept:
        shutil.copy(FSDD / "sample" / row[path], directory / "sample" / row[path])
    recipe = SmallRecipe(directory)
    recipe.write(["\t".join(row) for row in [header, *kept]])
    return recipe


@pytest.fixture
def small_recipe(tmp_path: Path) -> SmallRecipe:
    return make_small_recipe(tmp_path / "digits")


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SmallRecipe:
    """A recipe whose stages through ``measure`` have run once. Copy it before changing it."""
    recipe = make_small_recipe(tmp_path_factory.mktemp("trained") / "digits")
    done = recipe.run()
    assert done.returncode == 0, done.stderr
    return recipe


@pytest.fixture
def trained_copy(trained: SmallRecipe, tmp_path: Path) -> SmallRecipe:
    return SmallRecipe(Path(shutil.copytree(trained.directory, tmp_path / "copy")))


@pytest.fixture
def message() -> Callable[[subprocess.CompletedProcess[str]], str]:
    """What the command said about a user's mistake: exit code 2, no traceback."""

    def read(done: subprocess.CompletedProcess[str]) -> str:
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stderr

    return read
