"""The recipe under torchrun: two real processes, of which one keeps the books."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

VARIANT = ("--training", "training_sample", "--inference", "inference_sample")
SMALL = (
    "training.model.encoder.hidden_size=8",
    "training.trainer.max_epochs=1",
    "training.trainer.accelerator=cpu",
    "training.trainer.devices=2",
    "training.trainer.strategy=ddp",
    "training.batch.size=2",
)


def torchrun(recipe: Any, *stages: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    command += ["-m", "espnet3_core", "run", *VARIANT, *SMALL, "--stages", *stages]
    return subprocess.run(
        command,
        cwd=recipe.directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_torchrun_trains_with_two_processes_and_one_set_of_records(small_recipe: Any) -> None:
    refused = torchrun(small_recipe, "train_tokenizer", "train")
    assert refused.returncode != 0
    assert refused.stderr.count("several processes were started, and train_tokenizer must run in one") >= 1
    experiment = small_recipe.directory / "exp/training_sample"
    assert not list(experiment.glob("tokenizer*"))  # no process went ahead

    before = small_recipe.espnet3("run", *VARIANT, *SMALL, "--to", "collect_stats")
    assert before.returncode == 0, before.stderr
    done = torchrun(small_recipe, "train")
    assert done.returncode == 0, done.stderr
    record = json.loads((experiment / "stages/train.json").read_text("utf-8"))
    assert record["facts"]["steps"] == 3
    lines = [json.loads(line) for line in (experiment / "metrics.jsonl").read_text("utf-8").splitlines()]
    epochs = [line for line in lines if line["kind"] == "epoch"]
    assert len(epochs) == 1 and epochs[0]["step"] == 3  # 12 utterances, two processes, batches of 2
    assert done.stderr.count("updates:") == 1
