"""The full recipes on FSDD: error rates after the promised training time, on two cores."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPE = Path(__file__).resolve().parents[2] / "recipes/fsdd/asr"


@pytest.fixture
def recipe(tmp_path):
    if not Path(os.environ.get("ESPNET3_CORPORA", "nowhere"), "fsdd").is_dir():
        pytest.skip("FSDD is not at $ESPNET3_CORPORA/fsdd")
    ignored = shutil.ignore_patterns("exp", "data", "download", "__pycache__")
    return Path(shutil.copytree(RECIPE, tmp_path / "fsdd", ignore=ignored))


def run(recipe, *arguments):
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "espnet3_core", "run", str(recipe), *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start


def score(recipe, training, inference):
    experiment = recipe / "exp" / training
    seconds = json.loads((experiment / "stages/train.json").read_text("utf-8"))["seconds"]
    return seconds, json.loads((experiment / inference / "metrics.json").read_text("utf-8"))["wer"]["test"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("training", "inference", "most_seconds", "most_wer", "words"),
    [
        ("training", "inference", 240, 1.0, 900),
        ("training_unseen", "inference_unseen", 600, 8.0, 1500),
    ],
)
def test_error_rate_and_training_time(recipe, training, inference, most_seconds, most_wer, words):
    run(recipe, "--training", training, "--inference", inference)
    seconds, result = score(recipe, training, inference)
    print(f"\n{training}: WER {result['wer']:.2f} {result['interval']}, training {seconds:.0f} s")
    assert result["reference_length"] >= words
    assert result["wer"] <= most_wer
    assert seconds <= most_seconds


@pytest.mark.slow
def test_two_workers_are_faster_than_one(recipe, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    short = ("training.trainer.max_epochs=1", "training.trainer.limit_train_batches=2")
    run(recipe, *short, "--to", "train")
    # A beam search over every utterance of the training set is more than twenty seconds of work.
    many = "inference.test_sets={many: {name: core/manifest, path: data/official/train.tsv}}"
    search = "inference.search={name: asr/ctc_prefix_beam, beam_size: 30}"
    infer = (*short, "--stages", "infer", "--force", many, search)
    one = run(recipe, *infer)
    two = run(recipe, *infer, "inference.executor={name: core/processes, workers: 2}")
    print(f"\none process {one:.1f} s, two {two:.1f} s")
    assert one > 20
    assert two < one
