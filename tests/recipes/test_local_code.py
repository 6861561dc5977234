"""A recipe whose system, model, dataset, module and trainer are its own, around a transformers model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_everything_of_a_recipes_own_is_reachable_from_its_yamls(small_recipe, tmp_path):
    recipe = Path(shutil.copytree(HERE / "local_code", tmp_path / "local_code"))
    environment = {**os.environ, "DIGITS_MANIFEST": str(small_recipe.manifest), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "espnet3_core", "run", str(recipe)]

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], env=environment, capture_output=True, text=True, check=False, timeout=300
        )

    done = run("--to", "count")
    assert done.returncode == 0, done.stderr
    assert "own trainer, own module: 3 steps" in done.stdout
    experiment = recipe / "exp/training"
    assert (experiment / "count.txt").read_text() == "4"
    lines = (experiment / "inference/test/results.jsonl").read_text("utf-8").splitlines()
    assert len({json.loads(line)["id"] for line in lines}) == 4
    losses = [json.loads(line).get("train/loss") for line in (experiment / "metrics.jsonl").open()]
    assert any(loss is not None and loss > 0 for loss in losses)
    again = run("--to", "count")
    assert again.returncode == 0
    assert "own trainer" not in again.stdout
    checked = subprocess.run(
        [*command[:3], "check", str(recipe)], env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_a_mistake_in_a_recipes_own_code_is_named_by_its_line(small_recipe, tmp_path, message):
    recipe = Path(shutil.copytree(HERE / "local_code", tmp_path / "local_code"))
    environment = {**os.environ, "DIGITS_MANIFEST": str(small_recipe.manifest)}
    command = [sys.executable, "-m", "espnet3_core", "run", str(recipe), "--to", "train"]

    def said(file, old, new):
        text = (recipe / file).read_text("utf-8")
        assert old in text
        (recipe / file).write_text(text.replace(old, new), "utf-8")
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
        (recipe / file).write_text(text, "utf-8")
        return message(done)

    assert "src/system.py:" in said("src/system.py", "stages=(", "stages=((")
    assert "src/dataset.py:25, in __getitem__: KeyError" in said(
        "src/dataset.py", '["path"]', '["audio_path"]'
    )
