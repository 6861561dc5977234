"""Launch and inference beside ESPnet3, alternating in one run; prints ratios.

``PEERS=… tests/benchmarks/setup_espnet.sh`` builds the peer first. Then, on a quiet machine::

    PEERS=… ESPNET3_CORPORA=… python tests/benchmarks/compare_espnet.py launch infer [--repeats 5]

``launch``: from the command to the first training step, sanity validation included, with the mini_an4
Transformer on the same utterances. ``infer``: the whole stage on 200 short utterances (the two test
utterances of mini_an4, repeated), beam 1, CTC 0.3, at most 0.1 tokens per frame, one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PEERS = Path(os.environ.get("PEERS", "peers"))
PEER_RECIPE = PEERS / "recipe/egs3/mini_an4/esp2_asr"
UTTERANCES = 200
PEER_INFERENCE = """
dataset: {test: [{name: many, data_src_args: {split: test}}]}
model:
  _target_: espnet2.bin.asr_inference.Speech2Text
  asr_train_config: ${exp_dir}/config.yaml
  asr_model_file: ${exp_dir}/epoch0_step1_valid.loss.ckpt
  beam_size: 1
  ctc_weight: 0.3
  maxlenratio: 0.1
batch_size: 4
"""


def peer_environment(threads: int) -> dict[str, str]:
    """Environment of the peer's commands."""
    path = os.pathsep.join([str(PEERS / "bin"), str(PEERS / "espnet/bin"), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": str(threads), "PYTHONNOUSERSITE": "1"}


def until(command: list[str], folder: Path, environment: dict[str, str], marker: bytes) -> float:
    """Seconds until ``marker`` stands in the output of a command that must succeed."""
    start, seen, seconds = time.perf_counter(), b"", 0.0
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    while chunk := os.read(process.stdout.fileno(), 65536):
        seen += chunk
        if not seconds and marker in seen:
            seconds = time.perf_counter() - start
    if process.wait() or not seconds:
        raise SystemExit(f"{' '.join(command)} failed:\n{seen[-3000:].decode(errors='replace')}")
    return seconds


def our_recipe(folder: Path) -> list[str]:
    """A copy of the AN4 recipe with everything before training done; returns the command to run it."""
    shutil.copytree(
        ROOT / "recipes/an4/asr", folder, ignore=shutil.ignore_patterns("exp", "data", "__pycache__")
    )
    run = [sys.executable, "-m", "espnet3_core", "run", str(folder)]
    corpus = f"training.dataset.builder.corpus={Path(os.environ['ESPNET3_CORPORA']).resolve() / 'an4_mini'}"
    variant = ["--training", "training_mini_transformer", "--inference", "inference_mini", corpus]
    subprocess.run([*run, *variant, "--to", "train"], check=True, capture_output=True)
    return [*run, *variant]


def launches(folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Functions that launch a training and return the seconds to its first step: ours, the peer's."""
    ours = our_recipe(folder)
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}

    def launch_ours() -> float:
        shutil.rmtree(folder / "exp/training_mini_transformer/checkpoints")
        (folder / "exp/training_mini_transformer/stages/train.json").unlink()
        return until([*ours, "--stages", "train"], folder, environment, b"epoch 0 step 1")

    def launch_peer() -> float:
        shutil.rmtree(PEER_RECIPE / "exp/training_asr_transformer", ignore_errors=True)
        command = [str(PEERS / "espnet/bin/python"), "-u", "run.py", "--stages", "train"]
        command += ["--training_config", "conf/training_asr_transformer.yaml"]
        return until(command, PEER_RECIPE, peer_environment(2), b"Epoch 0: 100%")

    return launch_ours, launch_peer


def inferences(folder: Path) -> tuple[Callable[[], float], Callable[[], float]]:
    """Functions that run the infer stage on 200 utterances: ours, the peer's."""
    ours = our_recipe(folder)
    header, *rows = (folder / "data/test.tsv").read_text("utf-8").splitlines()
    column = header.split("\t").index("id")
    many = [rows[number % len(rows)].split("\t") for number in range(UTTERANCES)]
    for number, row in enumerate(many):
        row[column] = f"u{number:04d}"
    (folder / "data/many.tsv").write_text(
        "\n".join([header, *("\t".join(row) for row in many)]) + "\n", "utf-8"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    override = "inference.test_sets={many: {name: core/manifest, path: data/many.tsv}}"
    results = folder / "exp/training_mini_transformer/inference_mini/many/results.jsonl"

    def infer_ours() -> float:
        start = time.perf_counter()
        subprocess.run(
            [*ours, "--stages", "infer", "--force", override],
            check=True,
            capture_output=True,
            env=environment,
        )
        seconds = time.perf_counter() - start
        assert len(results.read_text("utf-8").splitlines()) == UTTERANCES
        return seconds

    (PEER_RECIPE / "conf/inference_many.yaml").write_text(PEER_INFERENCE)
    manifest = PEER_RECIPE / "data/manifest/test.tsv"
    kept = manifest.with_suffix(".kept")
    if not kept.exists():
        shutil.copy(manifest, kept)
    lines = kept.read_text().splitlines()
    paths = [re.sub(r"^[^\t]*", f"u{n:04d}", lines[n % len(lines)]) for n in range(UTTERANCES)]

    def infer_peer() -> float:
        manifest.write_text("\n".join(paths) + "\n")
        shutil.rmtree(PEER_RECIPE / "exp/training_asr_transformer/inference_many", ignore_errors=True)
        command = [str(PEERS / "espnet/bin/python"), "run.py", "--stages", "infer"]
        command += ["--training_config", "conf/training_asr_transformer.yaml"]
        command += ["--inference_config", "conf/inference_many.yaml"]
        start = time.perf_counter()
        subprocess.run(command, cwd=PEER_RECIPE, env=peer_environment(1), check=True, capture_output=True)
        seconds = time.perf_counter() - start
        shutil.copy(kept, manifest)
        return seconds

    return infer_ours, infer_peer


def main() -> None:
    """Run the comparisons named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="+", choices=["launch", "infer"])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for what in arguments.what:
        with tempfile.TemporaryDirectory() as temporary:
            make = launches if what == "launch" else inferences
            ours, peer = make(Path(temporary) / "recipe")
            ours(), peer()
            pairs = [(ours(), peer()) for _ in range(arguments.repeats)]
        row = {
            "what": what,
            "ours_s": [round(a, 2) for a, _ in pairs],
            "espnet3_s": [round(b, 2) for _, b in pairs],
            "median_ratio": round(statistics.median(a / b for a, b in pairs), 3),
        }
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
