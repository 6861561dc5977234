"""Stages that several processes run."""

from __future__ import annotations

import os

import pytest
from espnet3_core.errors import Interrupted, UserError
from espnet3_core.recipe.run import run
from toy_runs import edit, ran, record


def test_training_with_several_processes_is_a_command_of_its_own(toy, said):
    edit(toy, "conf/training.yaml", "devices: 1", "devices: 2")
    assert ran(toy, to="train", overrides=["training.seed=4"], tag="two") == [
        "create_dataset",
        "train_tokenizer",
        "train",
    ]
    assert said(toy) == ["create_dataset ran", "train_tokenizer ran", "train ran to 2"]
    assert (toy / "exp/two/checkpoints/last.ckpt").read_text() == "seed 4 epochs 2"
    assert record(toy, "train", "two")["pid"] != os.getpid() == record(toy, "create_dataset", "two")["pid"]
    assert record(toy, "train", "two")["command"][-1] == "training.seed=4"
    assert ran(toy, to="train", overrides=["training.seed=4"], tag="two") == []


def test_its_failure_and_its_interruption_are_those_of_the_run(toy):
    edit(toy, "conf/training.yaml", "devices: 1", "devices: 2")
    (toy / "stop").touch()
    with pytest.raises(Interrupted):
        run(toy, to="train")
    (toy / "stop").unlink()
    run(toy, to="train")
    with pytest.raises(UserError, match="training.seed: 1 -> 2"):
        run(toy, to="train", overrides=["training.seed=2"])


def test_other_ranks_run_the_distributed_stage_alone_and_write_nothing(toy, said, monkeypatch):
    run(toy, to="train_tokenizer")
    said(toy)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(UserError, match="create_dataset, train_tokenizer must run in one"):
        run(toy, to="train")
    run(toy, stages=["train"])
    assert said(toy) == ["train ran to 2"]
    assert not (toy / "exp/training/stages/train.json").exists()
