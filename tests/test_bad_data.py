"""Files that are bad, each in its own way: all are named, and the rest is trained on or decoded."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parents[1]
VARIANT = ("--training", "training_sample", "--inference", "inference_sample")
ROOMY = ("training.dataset.max_errors=10", "inference.max_errors=10")


def recordings(sample: Path, count: int) -> list[np.ndarray]:
    """Real audio, all of it different: digits of FSDD where it is there, else pieces of the sample."""
    corpus = Path(os.environ.get("ESPNET3_CORPORA", "/nowhere")) / "fsdd/recordings"
    files = sorted(corpus.glob("*.wav"))[:count]
    if len(files) == count:
        return [soundfile.read(file, dtype="float32")[0] for file in files]
    pieces: list[np.ndarray] = []
    for file in sorted(sample.glob("*.flac")):
        audio = soundfile.read(file, dtype="float32")[0]
        pieces += [audio[start : start + 4000] for start in range(1600, len(audio) - 5600, 4000)]
    return pieces[:count]


def spoil(folder: Path, rows: list[list[str]], bad: dict[str, int]) -> None:
    """Break the files (or lines) of some rows."""
    for kind, row in bad.items():
        file = folder / rows[row][1]
        samples = soundfile.read(file, dtype="float32")[0]
        if kind == "missing":
            file.unlink()
        elif kind == "truncated":
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        elif kind == "empty":
            file.write_bytes(b"")
        elif kind == "damaged":
            file.write_bytes(b"this is no audio" * 100)
        elif kind == "not finite":
            samples[len(samples) // 2] = np.nan
            soundfile.write(file, samples, 8000, subtype="FLOAT")
        elif kind == "rate":
            soundfile.write(file, samples, 16000)
        else:
            rows[row][0] = rows[row - 1][0]


def make(recipe: Any, sample: Path, count: int, bad: dict[str, dict[str, int]]) -> None:
    """Put ``count`` files into a digits recipe, half of them to train on and half to decode."""
    folder = recipe.directory / "sample"
    shutil.rmtree(folder)
    (folder / "wav").mkdir(parents=True)
    audio = recordings(sample, count)
    assert len(audio) == count
    rows = []
    for number, samples in enumerate(audio):
        name, split = f"utt{number:04d}", ("train", "test")[number % 2]
        soundfile.write(folder / f"wav/{name}.wav", samples, 8000, subtype="PCM_16")
        rows.append([name, f"wav/{name}.wav", str(number // 2 % 10), name, split])
    by_split = {split: [row for row in rows if row[-1] == split] for split in ("train", "test")}
    for split, listed in bad.items():
        spoil(folder, by_split[split], listed)
    with (folder / "manifest.tsv").open("w", newline="") as stream:
        writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
        writer.writerows(
            [["id", "path", "text", "recordings", "split"], *by_split["train"], *by_split["test"]]
        )
    conf = recipe.directory / "conf/training_sample.yaml"
    conf.write_text(conf.read_text().replace("where: {split: valid}", "where: {split: train, text: ['1']}"))


def bad_of(half: int) -> dict[str, dict[str, int]]:
    return {
        "train": {
            "missing": half // 7, "truncated": half // 3, "empty": half // 2, "duplicate id": half - 3
        },
        "test": {"damaged": half // 5, "not finite": half // 4, "rate": half - 1},
    }  # fmt: skip


def prove(recipe: Any, sample: Path, count: int, message: Callable[..., str]) -> None:
    half, bad = count // 2, bad_of(count // 2)
    make(recipe, sample, count, bad)
    ids = [f"utt{2 * row + offset:04d}" for offset, part in enumerate(bad.values()) for row in part.values()]
    repeated = f"utt{2 * (half - 4):04d}"
    ids[3] = repeated
    expected = {
        kind: (name, f":{2 + row + half * offset}")
        for offset, part in enumerate(bad.values())
        for (kind, row), name in zip(part.items(), ids[offset * 4 :], strict=False)
    }

    checked = recipe.espnet3("data", "check", *VARIANT, "--json", "--workers", "2")
    assert checked.returncode == 2, checked.stderr
    report = json.loads(checked.stdout)
    errors = [found for found in report["findings"] if found["level"] == "error"]
    assert {
        found["kind"]: (found["id"], found["place"][-len(expected[found["kind"]][1]) :]) for found in errors
    } == expected
    assert len(errors) == 7

    stopped = message(recipe.run("--to", "train"))
    assert "utt" in stopped and "manifest.tsv:" in stopped

    done = recipe.run(
        "training.dataset.on_error=quarantine",
        "inference.on_error=quarantine",
        "training.batch.size=32",
        *ROOMY,
    )
    assert done.returncode == 0, done.stderr
    experiment = recipe.directory / "exp/training_sample"
    listed = read(experiment / "bad_data/train.jsonl")
    assert {item["id"] for item in listed if item["id"]} == {*ids[:3]}
    assert [item["reason"] for item in listed if not item["id"]][0].startswith(f"duplicate id '{repeated}'")
    assert len(listed) == 4
    assert all(":" in item["place"] and item["reason"] for item in listed)
    epoch = next(entry for entry in read(experiment / "metrics.jsonl") if entry["kind"] == "epoch")
    assert np.isfinite(epoch["train/loss"])

    results = read(experiment / "inference_sample/test/results.jsonl")
    assert len(results) == half
    assert {record["id"] for record in results if "error" in record} == set(ids[4:])
    assert all("text" in record for record in results if "error" not in record)
    failed = read(experiment / "inference_sample/test/bad_data.jsonl")
    assert {item["id"]: item["place"].rpartition(":")[2] for item in failed} == {
        name: place[1:] for name, place in list(expected.values())[4:]
    }
    scores = json.loads((experiment / "inference_sample/metrics.json").read_text())
    assert scores["wer"]["test"]["failed"] == 3 and scores["wer"]["test"]["utterances"] == half


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def sample() -> Path:
    return ROOT / "recipes/fsdd/asr/sample/flac"


def test_seven_bad_files_of_a_hundred_are_named_and_the_rest_is_used(small_recipe, sample, message):
    prove(small_recipe, sample, 100, message)


@pytest.mark.slow
def test_seven_bad_files_of_a_thousand_are_named_and_the_rest_is_used(small_recipe, sample, message):
    prove(small_recipe, sample, 1000, message)
