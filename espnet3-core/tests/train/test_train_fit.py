import json
import logging

import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import BestConfig, CheckpointConfig, ParameterRule
from espnet3_core.errors import UserError
from espnet3_core.train.checkpoints import load_weights, resolve_checkpoint
from espnet3_core.train.config import EMAConfig
from espnet3_core.train.ema import EMA
from safetensors.torch import load_file
from torch import nn
from toy_training import Died, ToyContext, ToyModel, Trace, run_toy, toy_config


def records(tmp_path, kind):
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_metrics_are_weighted_means_and_are_written_without_any_logger(tmp_path):
    class Counting(ToyModel):
        def forward(self, inputs, targets):
            return {
                "loss": super().forward(inputs, targets)["loss"],
                "first": inputs.mean(),
                "weight": len(inputs),
            }

    module = run_toy(
        ToyContext(tmp_path, toy_config(trainer={"max_epochs": 1, "logger": False})), Counting(), size=7
    )
    (valid,) = records(tmp_path, "valid")
    from toy_training import ToyDataset

    assert valid["valid/first"] == pytest.approx(ToyDataset(10).inputs.mean().item(), abs=1e-7)
    (epoch,) = records(tmp_path, "epoch")
    assert epoch["train/first"] == pytest.approx(ToyDataset(24).inputs.mean().item(), abs=1e-7)
    assert module.trainer.callback_metrics["train/first"].item() == pytest.approx(epoch["train/first"])
    assert module.trainer.callback_metrics["valid/first"].item() == pytest.approx(valid["valid/first"])
    (interval, *_) = records(tmp_path, "interval")
    named = {"lr", "utterances_per_second", "step_time", "data_wait", "train/loss", "step", "epoch"}
    assert named <= set(interval)
    assert not list(tmp_path.glob("lightning_logs"))


def test_best_and_average_hold_the_last_validation(tmp_path):
    config = toy_config(trainer={"max_epochs": 4}, checkpoint=CheckpointConfig(best=[BestConfig(keep=2)]))
    module = run_toy(ToyContext(tmp_path, config))
    losses = [record["valid/loss"] for record in records(tmp_path, "valid")]
    assert losses[-1] == min(losses)  # the case in which a late average is wrong
    best = load_file(resolve_checkpoint(tmp_path, "best"))
    for name, value in module.model.state_dict().items():
        assert torch.equal(best[name], value.cpu())
    index = json.loads((tmp_path / "checkpoints" / "index.json").read_text())
    (table,) = index["selections"]
    sources = [load_file(tmp_path / "checkpoints" / kept["file"]) for kept in table["average"]["sources"]]
    assert [kept["value"] for kept in table["average"]["sources"]] == sorted(losses)[:2]
    average = load_file(resolve_checkpoint(tmp_path, "average"))
    for name, value in average.items():
        expected = torch.stack([source[name].double() for source in sources]).mean(0).float()
        assert torch.equal(value, expected)
    weights = {path.name for path in (tmp_path / "checkpoints").glob("epoch*")}
    assert weights == {kept["file"] for kept in table["kept"]}
    load_weights(ToyModel(), resolve_checkpoint(tmp_path, "last"))


def test_a_monitor_that_is_not_logged_is_found_before_training(tmp_path):
    config = toy_config(checkpoint=CheckpointConfig(best=[BestConfig(monitor="valid/los")]))
    with pytest.raises(
        UserError, match=r"best\.0\.monitor: 'valid/los' is not logged\n.*did you mean 'valid/loss'"
    ):
        run_toy(ToyContext(tmp_path, config), trace=Trace(tmp_path / "trace"))
    assert not (tmp_path / "trace").exists()


def test_frozen_parameters_do_not_move_and_groups_have_their_own_rate(tmp_path):
    rules = [
        ParameterRule(match="encoder.*", freeze=True),
        ParameterRule(match="*.bias", options={"lr": 0.5}),
    ]
    model = ToyModel()
    before = model.encoder[0].weight.clone()
    run_toy(ToyContext(tmp_path, toy_config(parameters=rules)), model)
    assert torch.equal(model.encoder[0].weight, before)
    assert records(tmp_path, "interval")[0]["lr/1"] == 0.5


class Unstable(ToyModel):
    """Loses its mind over some utterances."""

    def __init__(self, bad):
        super().__init__()
        self.bad = bad
        self.calls = 0

    def forward(self, inputs, targets):
        output = super().forward(inputs, targets)
        if self.training:
            self.calls += 1
            if self.calls in self.bad:
                return output | {"loss": output["loss"] * float("nan")}
        return output


def test_a_loss_that_is_not_finite_is_left_out_and_its_utterances_are_named(tmp_path, caplog):
    model = Unstable({3})
    with caplog.at_level(logging.WARNING):
        run_toy(ToyContext(tmp_path, toy_config(trainer={"max_epochs": 1})), model)
    assert all(torch.isfinite(value).all() for value in model.parameters())
    (message,) = [record.getMessage() for record in caplog.records if "not finite" in record.getMessage()]
    assert message.startswith("step 2, epoch 0")
    assert message.count("utt") == 4 + 1  # four utterances and the word "utterances"
    (epoch,) = records(tmp_path, "epoch")
    assert epoch["train/loss"] == pytest.approx(epoch["train/loss"])
    assert epoch["train/loss"] < 100


def test_losses_that_stay_not_finite_stop_training(tmp_path):
    config = toy_config(trainer={"max_epochs": 10})
    with pytest.raises(
        UserError, match=r"not finite in 11 steps in a row, up to step 12.*utterances: utt\d+"
    ):
        run_toy(ToyContext(tmp_path, config), Unstable(set(range(3, 100))))


def test_ema_is_what_is_validated_and_saved(tmp_path):
    torch.manual_seed(0)
    model = ToyModel()
    history = [{name: value.detach().clone() for name, value in model.named_parameters()}]

    class Watch(Trace):
        def on_train_batch_end(self, trainer, pl_module, *rest):
            history.append(
                {name: value.detach().clone() for name, value in pl_module.model.named_parameters()}
            )

    config = toy_config(trainer={"max_epochs": 1})
    averaging = EMA(EMAConfig(decay=0.5))
    context = ToyContext(tmp_path, config)
    run_toy(context, model, trace=Watch(tmp_path / "trace"), more=[averaging])
    expected = {name: value.double() for name, value in history[0].items()}
    for update, state in enumerate(history[1:], start=1):
        decay = min(0.5, (1 + update) / (10 + update))
        expected = {name: decay * value + (1 - decay) * state[name] for name, value in expected.items()}
    saved = load_file(resolve_checkpoint(tmp_path, "best"))
    for name, value in expected.items():
        torch.testing.assert_close(saved[name].double(), value, rtol=1e-5, atol=1e-6)
        assert torch.equal(model.state_dict()[name], history[-1][name])
    evaluated = ToyModel()
    load_weights(evaluated, resolve_checkpoint(tmp_path, "best"))
    from toy_training import ToyDataset

    data = ToyDataset(10)
    evaluated.eval()
    loss = evaluated(data.inputs, data.targets)["loss"].item()
    assert records(tmp_path, "valid")[0]["valid/loss"] == pytest.approx(loss, rel=1e-5)


def test_ema_survives_an_interruption(tmp_path):
    def run(directory, die_at=None):
        config = toy_config(checkpoint=CheckpointConfig(every_steps=3))
        run_toy(
            ToyContext(directory, config),
            trace=Trace(directory / "trace", die_at),
            more=[EMA(EMAConfig(decay=0.9, every_steps=2))],
        )
        return load_file(resolve_checkpoint(directory, "average"))

    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    whole = run(tmp_path / "whole")
    with pytest.raises(Died):
        run(tmp_path / "parts", die_at=8)
    parts = run(tmp_path / "parts")
    assert all(torch.equal(whole[name], value) for name, value in parts.items())


def test_deterministic_and_other_trainer_keys_reach_lightning(tmp_path):
    trainer = {
        "deterministic": True,
        "gradient_clip_val": 1.0,
        "limit_train_batches": 2,
        "num_sanity_val_steps": 0,
    }
    callback = {
        "_target_": "lightning.pytorch.callbacks.EarlyStopping",
        "monitor": "valid/loss",
        "patience": 1,
    }
    profiler = {"_target_": "lightning.pytorch.profilers.SimpleProfiler"}
    config = toy_config(trainer={**trainer, "callbacks": [callback], "profiler": profiler})
    module = run_toy(ToyContext(tmp_path, config))
    assert module.trainer.gradient_clip_val == 1.0
    assert module.trainer.global_step == 4
    assert type(module.trainer.profiler).__name__ == "SimpleProfiler"
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)


def test_tensorboard_gets_the_values(tmp_path):
    pytest.importorskip("tensorboard")
    from espnet3_core.train.config import TensorBoardConfig
    from espnet3_core.train.loggers import tensorboard

    logger = tensorboard(TensorBoardConfig(), experiment=tmp_path)
    run_toy(ToyContext(tmp_path, toy_config(trainer={"max_epochs": 1})), sinks=[logger])
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    (value,) = events.Scalars("valid/loss")
    assert value.step == 6
    assert value.value == pytest.approx(records(tmp_path, "valid")[0]["valid/loss"])


def test_a_logger_whose_package_is_not_installed(tmp_path, monkeypatch):
    from espnet3_core import _plugin as core_plugin
    from espnet3_core.train import loggers
    from espnet3_core.train.config import WandbConfig

    monkeypatch.setattr(loggers, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"core/wandb needs .*\n.*pip install 'espnet3-core\[wandb\]'"):
        loggers.wandb(WandbConfig(), experiment=tmp_path)
    training = {"loggers": [{"_target_": "src.loggers.Mine"}, {"name": "core/wandb"}]}
    (finding,) = core_plugin.espnet3_check_config({"training": training})
    assert str(finding).startswith("training.loggers.1.name: core/wandb needs the package 'wandb'")
    assert finding.hint == "pip install 'espnet3-core[wandb]'"
    assert core_plugin.espnet3_check_config({"inference": {}}) == []


@pytest.mark.parametrize("interval", ["step", "epoch"])
def test_torchs_schedulers_are_stepped_as_their_node_says(tmp_path, interval):
    scheduler = Component(
        target="torch.optim.lr_scheduler.ExponentialLR",
        options={"gamma": 0.5, "interval": interval},
        slot=Slot("scheduler"),
    )
    run_toy(ToyContext(tmp_path, toy_config(scheduler=scheduler)))
    rates = [record["lr"] for record in records(tmp_path, "interval") if record["step"] > 1]
    steps = [2, 4, 6, 8, 10, 12] if interval == "step" else [0, 0, 1, 1, 1, 2]
    assert rates == pytest.approx([0.01 * 0.5**count for count in steps])


def test_a_plateau_is_seen_and_survives_an_interruption(tmp_path):
    class Flat(ToyModel):
        def forward(self, inputs, targets):
            output = super().forward(inputs, targets)
            return output if self.training else {"loss": torch.tensor(1.0)}

    def run(epochs):
        scheduler = Component(
            target="torch.optim.lr_scheduler.ReduceLROnPlateau", options={"patience": 1, "factor": 0.1}
        )
        run_toy(ToyContext(tmp_path, toy_config(scheduler=scheduler, trainer={"max_epochs": epochs})), Flat())

    for epochs in (1, 2, 4):
        run(epochs)
    rates = [record["lr"] for record in records(tmp_path, "interval") if record["step"] % 6 == 2]
    assert rates == pytest.approx([0.01, 0.01, 0.01, 0.001])


def test_the_seed_decides_the_weights_whatever_was_drawn_before(tmp_path):
    first = run_toy(ToyContext(tmp_path / "a", toy_config(trainer={"max_epochs": 1})))
    torch.rand(100)
    second = run_toy(ToyContext(tmp_path / "b", toy_config(trainer={"max_epochs": 1})))
    third = run_toy(ToyContext(tmp_path / "c", toy_config(seed=1, trainer={"max_epochs": 1})))
    weights = [module.model.decoder.weight for module in (first, second, third)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_a_model_without_a_loss_is_told(tmp_path):
    class NoLoss(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 1)

        def forward(self, inputs):
            return {"logits": self.layer(inputs)}

    with pytest.raises(UserError, match="a mapping with 'logits', which holds no scalar loss"):
        run_toy(ToyContext(tmp_path, toy_config()), NoLoss())
