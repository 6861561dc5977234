"""What rows on whole stages run: copies of our recipe for AN4 and of ESPnet3's mini_an4, and FLAC recipes."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import inputs

ROOT = Path(__file__).resolve().parents[1]
ESPNET3_TRAINING = "conf/training_asr_transformer.yaml"
OURS_TRAINING = """
dataset:
  sample_rate: 16000
  train: {{name: core/manifest, path: {manifest}}}
tokenizer: {{name: asr/char}}
model:
  name: asr/ctc
  frontend: {{name: speech/log_mel}}
  normalizer: {{name: speech/global_mvn}}
  encoder: {{name: speech/transformer, output_size: 16, linear_units: 16, num_blocks: 1}}
batch: {{size: 16}}
"""


def run(command: list[str], folder: Path) -> float:
    """Seconds of a command that must succeed."""
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout[-3000:].decode(errors='replace')}")
    return time.perf_counter() - start


def until(command: list[str], folder: Path, marker: bytes) -> float:
    """Seconds until ``marker`` stands in the output of a command that must succeed."""
    start, seen, seconds = time.perf_counter(), b"", 0.0
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), 65536):
        seen += chunk
        if not seconds and marker in seen:
            seconds = time.perf_counter() - start
    if process.wait() or not seconds:
        raise SystemExit(f"{' '.join(command)} failed:\n{seen[-3000:].decode(errors='replace')}")
    return seconds


def espnet3(*stages: str) -> list[str]:
    """ESPnet3's command for stages of a recipe, in its environment."""
    command = [sys.executable, "-u", "run.py", "--stages", *stages]
    return [*command, "--training_config", ESPNET3_TRAINING]


def mini_an4() -> Path:
    """ESPnet3's recipe, as ``setup_peers.sh --recipe`` prepared and trained it.

    Raises:
        SystemExit: It is not there.
    """
    folder = Path(os.environ.get("PEERS", "peers")).resolve() / "recipe/egs3/mini_an4/esp2_asr"
    if not (folder / "exp/training_asr_transformer").is_dir():
        raise SystemExit(f"{folder} is not prepared: benchmarks/setup_peers.sh --recipe")
    os.environ["PATH"] = os.pathsep.join([str(folder.parents[3] / "bin"), os.environ["PATH"]])
    return folder


def an4(folder: Path) -> list[str]:
    """A copy of our AN4 recipe with everything up to training done; returns the command to run it."""
    ignored = shutil.ignore_patterns("exp", "data", "__pycache__")
    shutil.copytree(ROOT / "recipes/an4/asr", folder, ignore=ignored)
    corpora = os.environ.get("ESPNET3_CORPORA")
    if corpora is None:
        raise SystemExit("this row needs ESPNET3_CORPORA, the folder that holds an4_mini")
    command = [sys.executable, "-m", "espnet3_core", "run", str(folder)]
    command += ["--training", "training_mini_transformer", "--inference", "inference_mini"]
    command += [f"training.dataset.builder.corpus={Path(corpora).resolve() / 'an4_mini'}"]
    run([*command, "--to", "train"], folder)
    return command


def ours_on_flac(folder: Path, data: Path, utterances: int) -> list[str]:
    """A recipe with feature statistics on the first FLAC files; returns the command to run it."""
    manifest = folder / "train.tsv"
    (folder / "conf").mkdir(parents=True)
    lines = inputs.corpus(data).read_text().splitlines()[: utterances + 1]
    manifest.write_text("\n".join(lines) + "\n")
    (folder / "recipe.yaml").write_text("name: bench/asr\nsystem: asr/recognition\n")
    (folder / "conf/training.yaml").write_text(OURS_TRAINING.format(manifest=manifest))
    command = [sys.executable, "-m", "espnet3_core", "run", str(folder)]
    run([*command, "--stages", "train_tokenizer"], folder)
    return command


def espnet3_on_flac(folder: Path, data: Path, utterances: int) -> Path:
    """A copy of mini_an4 whose training and validation data are the first FLAC files, tokenizer included."""
    package = Path(importlib.import_module("egs3.mini_an4").__path__[0])
    recipe = folder / "egs3/mini_an4/esp2_asr"
    shutil.copytree(package.parent, folder / "egs3", ignore=shutil.ignore_patterns("__pycache__", "*.tar.gz"))
    rows = inputs.rows_of(inputs.corpus(data))[:utterances]
    (recipe / "data/manifest").mkdir(parents=True)
    lines = ["\t".join([row["id"], row["path"], row["text"]]) for row in rows]
    (recipe / "data/manifest/train.tsv").write_text("\n".join(lines) + "\n")
    for split in ("valid", "test"):
        (recipe / f"data/manifest/{split}.tsv").write_text("\n".join(lines[:2]) + "\n")
    for part in ("etc", "wav"):  # the recipe looks whether its own corpus is there
        (recipe / "downloads/an4" / part).mkdir(parents=True)
    pieces = inputs.pieces(data)
    tokenizer = recipe / "data/bpe_30"
    tokenizer.mkdir()
    shutil.copy(pieces, tokenizer / "bpe.model")
    shutil.copy(pieces.parent / "tokens.txt", tokenizer / "tokens.txt")
    return recipe
