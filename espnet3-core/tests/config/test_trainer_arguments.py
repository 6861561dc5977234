from __future__ import annotations

import pytest
from espnet3_core.config.trainer_arguments import trainer_findings


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_epochs": 3, "devices": "auto", "accelerator": "cpu", "precision": "bf16-mixed"},
        {"devices": [0, 1], "strategy": "ddp", "gradient_clip_val": 5, "precision": 16},
        {"max_time": {"hours": 3}, "val_check_interval": 0.5, "deterministic": "warn"},
        {"max_time": "00:01:00:00", "limit_train_batches": 3, "fast_dev_run": True, "logger": False},
        {"strategy": {"_target_": "lightning.pytorch.strategies.DDPStrategy", "static_graph": True}},
        {"callbacks": [{"_target_": "lightning.pytorch.callbacks.LearningRateMonitor"}]},
        {"default_root_dir": "exp", "profiler": "simple", "max_epochs": None},
    ],
)
def test_what_lightning_takes_is_accepted(arguments):
    assert trainer_findings(arguments, "training.trainer") == []


@pytest.mark.parametrize(
    ("arguments", "key", "message", "hint"),
    [
        ({"gradient_clip": 1}, "gradient_clip", "has no argument 'gradient_clip'", None),
        ({"max_epoch": 1}, "max_epoch", "has no argument 'max_epoch'", "did you mean 'max_epochs'?"),
        ({"max_epochs": "3"}, "max_epochs", "expected int or null, got '3' (str)", None),
        ({"max_epochs": True}, "max_epochs", "expected int or null, got True (bool)", None),
        ({"devices": 1.5}, "devices", "expected list of int or str or int, got 1.5 (float)", None),
        ({"devices": ["a"]}, "devices", "expected list of int", None),
        ({"precision": "bf16-mixd"}, "precision", "got 'bf16-mixd' (str)", "did you mean 'bf16-mixed'?"),
        ({"enable_progress_bar": "no"}, "enable_progress_bar", "expected bool or null", None),
        ({"logger": {"name": "x"}}, "logger", "Logger (by _target_)", None),
        (
            {"strategy": {"_target_": "lightning.pytorch.strategies.DDPStrateg"}},
            "strategy._target_",
            "has no 'DDPStrateg'",
            "did you mean 'DDPStrategy'?",
        ),
    ],
)
def test_mistakes_in_the_trainers_arguments(arguments, key, message, hint):
    (finding,) = trainer_findings(arguments, "training.trainer")
    assert finding.key == f"training.trainer.{key}"
    assert message in finding.message
    assert hint is None or finding.hint == hint


@pytest.mark.parametrize(
    "strategy",
    [
        "fsdp",
        "fsdp_cpu_offload",
        "deepspeed_stage_2",
        {"_target_": "lightning.pytorch.strategies.FSDPStrategy"},
        {"_target_": "lightning.pytorch.strategies.ModelParallelStrategy"},
    ],
)
def test_strategies_that_shard_the_weights_are_refused_with_the_reason(strategy):
    (finding,) = trainer_findings({"strategy": strategy}, "training.trainer")
    assert finding.key == "training.trainer.strategy"
    assert "shards the weights: clipping by norm, core/ema and exact resuming fail" in finding.message
    assert finding.hint.startswith("use strategy: ddp; ")


@pytest.mark.parametrize("strategy", ["auto", "ddp", "ddp_find_unused_parameters_true"])
def test_other_strategies_are_not(strategy):
    assert trainer_findings({"strategy": strategy}, "training.trainer") == []


def test_an_own_trainer_adds_its_arguments(tmp_path, monkeypatch):
    (tmp_path / "own_trainers.py").write_text(
        "from lightning.pytorch import Trainer\n"
        "class Open(Trainer):\n    def __init__(self, *, flavour='x', **rest): ...\n"
        "class Closed(Trainer):\n    def __init__(self, *, flavour='x'): ...\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    arguments = {"flavour": "y", "max_epochs": 3}
    assert trainer_findings(arguments, "t", "own_trainers.Open") == []
    (finding,) = trainer_findings(arguments, "t", "own_trainers.Closed")
    assert finding.key == "t.max_epochs"
    (finding,) = trainer_findings(arguments, "t", "own_trainers.Opn")
    assert finding.hint == "did you mean 'Open'?"
