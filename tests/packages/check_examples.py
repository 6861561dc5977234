"""Installs the example plugins from wheels into an environment, runs their tests there, and trains.

Usage: ``python check_examples.py PYTHON DIST CONSTRAINTS EXAMPLES``; FSDD is at ``ESPNET3_CORPORA``
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("espnet3-rnn", "espnet3-put", "espnet3-sounds")
LEAST_ACCURACY = {"digits": 95.0, "voices": 80.0}
MOST_SECONDS = 180.0
SAMPLE = ROOT / "recipes/fsdd/asr/sample"


def main(python: str, dist: str, constraints: str, examples: str) -> None:
    """Run the checks; raises on the first that fails."""
    python = os.path.abspath(python)  # not resolved: the environment's own link
    wheels = ["--find-links", dist, "--find-links", examples]
    install = [python, "-m", "pip", "install", "--quiet", "-c", constraints, *wheels]
    subprocess.run([*install, *(f"{name}[test]" for name in EXAMPLES)], check=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in EXAMPLES:
            shutil.copytree(ROOT / "examples/plugins" / name / "tests", place / name)
        words = [python, "-m", "pytest", "-q", "--import-mode=importlib", *EXAMPLES]
        subprocess.run(words, cwd=place, check=True)
        classify(python, place)
        recognise(python, place)


def classify(python: str, place: Path) -> None:
    """Digits of FSDD, its official test set; without the corpus, the voices of the sample that ships."""
    corpus = Path(os.environ.get("ESPNET3_CORPORA", "/nowhere")) / "fsdd/recordings"
    if corpus.is_dir():
        data, task, pattern = corpus, "digits", r"(?P<label>\d)_\w+_"
        shares = {"train": r"([1-4]\d)", "valid": "[5-9]", "test": "[0-4]"}
    else:
        print("FSDD is not here ($ESPNET3_CORPORA): the voices of the sample are told apart")
        data, task, pattern = place / "voices", "voices", r"(?P<label>.+)_"
        shares = {"train": r"(0[5-9]|1\d|2\d)", "valid": "0[34]", "test": "0[0-2]"}
        data.mkdir()
        for path in (SAMPLE / "flac").glob("*.flac"):
            voice, _, number = path.stem.rpartition("-")
            shutil.copy(path, data / f"{voice}_{number}.flac")
    new = ["new", "recipe", "sounds", "--system", "sounds/classification", "--data", str(data)]
    espnet3(python, place, *new)
    nodes = {part: f"training.dataset.{part}" for part in ("train", "valid")} | {
        "test": "inference.test_sets.test"
    }
    overrides = [
        word
        for part, node in nodes.items()
        for word in (f"{node}.pattern='{pattern}{shares[part]}'", f"{node}.part=all")
    ]
    begun = time.monotonic()
    espnet3(python, place, "run", "sounds", "--to", "pack_model", *overrides)
    seconds = time.monotonic() - begun
    experiment = place / "sounds/exp/training"
    score = json.loads((experiment / "inference/metrics.json").read_text())["accuracy"]["test"]
    print(f"accuracy {score['accuracy']:.2f} % of {score['sounds']} sounds, after {seconds:.0f} s")
    assert score["accuracy"] >= LEAST_ACCURACY[task] and seconds <= MOST_SECONDS
    sound = next(data.glob("*_0*.*"))
    label = sound.name.split("_")[0]
    told = espnet3(python, place, "classify", str(sound), "--model", str(experiment / "bundle"))
    assert told.split("\t")[1] == label, told


def recognise(python: str, place: Path) -> None:
    """A recipe of the recognition task takes the model of another plugin by name."""
    shutil.copytree(SAMPLE, place / "speech")
    new = ["new", "recipe", "digits", "--system", "asr/recognition", "--data", "speech/manifest.tsv"]
    espnet3(python, place, *new)
    chosen = ["training.model={name: rnn/ctc, hidden_size: 32}", "training.trainer.max_epochs=1"]
    espnet3(python, place, "run", "digits", "--to", "pack_model", *chosen)
    manifest = json.loads((place / "digits/exp/training/bundle/manifest.json").read_text())
    assert "rnn/ctc" in json.dumps(manifest)


def espnet3(python: str, place: Path, *words: str) -> str:
    """Run the command; what it printed."""
    command = [str(Path(python).parent / "espnet3"), *words]
    return subprocess.run(command, cwd=place, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
