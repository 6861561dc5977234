"""``espnet3 new recipe`` on ten utterances of a user, to a trained and scored model."""

import json
import time

import pytest
from espnet3_core.cli.main import main

TIME_LIMIT = 120.0  # seconds, on two cores


@pytest.fixture
def ten(recipes, tmp_path):
    """The first ten strings of the shipped sample, under headers of their own."""
    sample = recipes / "fsdd" / "asr" / "sample"
    lines = (sample / "manifest.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines[1:11]]
    listing = tmp_path / "mine.csv"
    text = "".join(f"{row[0]},{sample / row[1]},{row[2]}\n" for row in rows)
    listing.write_text("utt_id,wav,transcript\n" + text, "utf-8")
    return listing


def train_and_score(listing, recipe, *overrides):
    assert main(["new", "recipe", str(recipe), "--system", "asr/recognition", "--data", str(listing)]) == 0
    assert main(["check", str(recipe)]) == 0
    assert main(["run", str(recipe), *overrides]) == 0
    experiment = recipe / "exp" / "training"
    lines = (experiment / "inference" / "test" / "results.jsonl").read_text("utf-8").splitlines()
    results = [json.loads(line) for line in lines]
    return results, json.loads((experiment / "inference" / "metrics.json").read_text("utf-8"))


def test_from_ten_utterances_to_scores(ten, tmp_path):
    results, metrics = train_and_score(ten, tmp_path / "digits", "training.trainer.max_epochs=2")
    assert len(results) == 1
    assert "wer" in json.dumps(metrics)
    assert "cer" in json.dumps(metrics)


@pytest.mark.slow
def test_the_written_recipe_learns_in_time(ten, tmp_path):
    start = time.monotonic()
    train_and_score(ten, tmp_path / "digits")
    assert time.monotonic() - start < TIME_LIMIT
    records = (tmp_path / "digits" / "exp" / "training" / "metrics.jsonl").read_text("utf-8").splitlines()
    losses = [r["train/loss"] for r in map(json.loads, records) if "train/loss" in r]
    assert losses[-1] < losses[0] / 3
