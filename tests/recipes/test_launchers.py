"""The recipe under torchrun: two real processes, of which one keeps the books."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.recipe.ranks import read_states

VARIANT = ("--training", "training_sample", "--inference", "inference_sample")
SMALL = (
    "training.model.encoder.hidden_size=8",
    "training.trainer.max_epochs=1",
    "training.trainer.accelerator=cpu",
    "training.trainer.devices=2",
    "training.trainer.strategy=ddp",
    "training.batch.size=2",
)


FAULTS = """
import os, signal
from lightning.pytorch import Callback
from espnet3_core.errors import UserError

class Fault(Callback):
    def on_train_batch_start(self, trainer, module, batch, number):
        kind, _, rank = os.environ.get("FAULT", "").partition(" ")
        if number != 1 or str(trainer.global_rank) != rank:
            return
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise UserError("a mistake on one rank")
"""


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


def test_a_lost_process_ends_the_run_with_a_report_under_every_launcher(
    small_recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = small_recipe.directory / "src"
    source.mkdir(exist_ok=True)
    (source / "faults.py").write_text(FAULTS, "utf-8")
    faulty = "training.callbacks=[{_target_: src.faults.Fault}]"
    run = ("run", *VARIANT, *SMALL, faulty)
    experiment = small_recipe.directory / "exp/training_sample"

    monkeypatch.setenv("FAULT", "error 1")  # Lightning starts rank 1, and kills rank 0 some seconds after it
    done = small_recipe.espnet3(*run, "--to", "train")
    report = reported(experiment, done)
    assert done.returncode == 2
    assert "rank 1 ended with an error, and the others cannot go on: a mistake on one rank" in report

    monkeypatch.setenv("FAULT", "kill 0")  # nobody of ours is its parent
    done = torchrun(small_recipe, "train", faulty)
    report = reported(experiment, done)
    assert done.returncode != 0
    assert report.startswith("training was ended: rank 0 died (process ")

    monkeypatch.delenv("FAULT")
    done = small_recipe.espnet3(*run, "--stages", "train")
    assert done.returncode == 0, done.stderr
    assert not (experiment / "ranks").exists()


def reported(experiment: Path, done: subprocess.CompletedProcess[str]) -> str:
    """What the log and stderr say, after which nobody is alive."""
    report = (experiment / "ranks/report.txt").read_text("utf-8")
    assert all(state.gone for state in read_states(experiment / "ranks").values())
    assert report in (experiment / "logs/train.log").read_text("utf-8")
    assert done.stderr.count(report.splitlines()[0]) >= 1
    for rank in (0, 1):
        assert f"\n  rank {rank}: step 1, epoch 0, batch 1, in the forward pass since " in report
    assert "\n    File " in report  # where the other one waits
    return report
