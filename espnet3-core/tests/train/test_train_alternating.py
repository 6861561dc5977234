from __future__ import annotations

import copy
import hashlib
import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import BestConfig, CheckpointConfig, NamedOptimizer, ParameterRule
from espnet3_core.errors import UserError
from espnet3_core.train.alternating import AlternatingModule
from espnet3_core.train.checkpoints import resolve_checkpoint
from espnet3_core.train.config import EMAConfig
from espnet3_core.train.ema import EMA
from espnet3_core.train.finite import FiniteGuard
from espnet3_core.train.turns import Turn, steps_in
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import SingleDeviceStrategy
from safetensors.torch import load_file
from toy_gan import DISCRIMINATOR_FIRST, GENERATOR_FIRST, Batches, Loop, ToyGan, gan_config
from toy_training import ToyContext, ToyDataset, run_toy

SETTINGS: dict[str, dict[str, Any]] = {
    "each batch": {},
    "accumulated": {"generator": {"accumulate": 2}, "discriminator": {"accumulate": 2}},
    "accumulated unequally": {"generator": {"accumulate": 3}, "discriminator": {"accumulate": 2}},
    "an epoch that is no multiple": {"generator": {"accumulate": 4}, "discriminator": {"accumulate": 1}},
    "a generator now and then": {"generator": {"every": 3, "clip": 0.1}},
    "a discriminator now and then": {
        "generator": {"accumulate": 2},
        "discriminator": {"accumulate": 1, "every": 2, "clip": 0.05},
    },
}


def records(directory: Path, kind: str) -> list[dict[str, Any]]:
    lines = (directory / "metrics.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


@pytest.mark.parametrize("reuse", [False, True], ids=["anew", "reused"])
@pytest.mark.parametrize("order", [GENERATOR_FIRST, DISCRIMINATOR_FIRST], ids=["G-D", "D-G"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_it_is_the_plain_loop(tmp_path: Path, settings: Any, order: Any, reuse: bool) -> None:
    config = gan_config(order, **copy.deepcopy(settings), trainer={"max_epochs": 3})
    torch.manual_seed(1)
    model = ToyGan(reuse)
    reference = Loop(copy.deepcopy(model), config)
    seen = Batches()
    module = run_toy(ToyContext(tmp_path, config), model, more=[seen])
    reference.run(seen.epochs)
    expected = reference.model.state_dict()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)
    assert module.trainer.global_step == reference.rounds
    assert {turn.name: turn.updates for turn in module.turns} == reference.steps
    for turn in module.turns:
        assert turn.schedule["scheduler"].last_epoch == reference.steps[turn.name]
    last = records(tmp_path, "epoch")[-1]
    assert {side: last[f"updates/{side}"] for side in order} == reference.steps
    rates = {side: reference.optimizers[side].param_groups[0]["lr"] for side in order}
    assert {side: last[f"lr/{side}"] for side in order} == pytest.approx(rates, rel=1e-12)


def test_the_frozen_side_does_not_move_in_the_others_turn(tmp_path: Path) -> None:
    """Nor does its gradient: with accumulation, half of one is waiting while the other side learns."""

    class Watched(AlternatingModule):
        def _learn(self, turn: Any, loss: torch.Tensor, *, step: bool) -> None:
            other = self.turns[1 - self.turns.index(turn)]
            before = fingerprint(other.parameters)
            super()._learn(turn, loss, step=step)
            assert fingerprint(other.parameters) == before
            waiting.append(any(value.grad is not None for value in other.parameters.values()))

    waiting: list[bool] = []
    sides = {"generator": {"accumulate": 3}, "discriminator": {"accumulate": 2}}
    run_toy(ToyContext(tmp_path, gan_config(**sides)), ToyGan(), kind=Watched)
    assert len(waiting) == 2 * 12
    assert 0 < sum(waiting) < len(waiting)


def fingerprint(parameters: Any) -> str:
    digest = hashlib.sha256()
    for name, value in parameters.items():
        digest.update(name.encode() + value.detach().numpy().tobytes())
        digest.update(b"" if value.grad is None else value.grad.numpy().tobytes())
    return digest.hexdigest()


def test_what_is_shared_is_computed_once_for_each_batch(tmp_path: Path) -> None:
    counts = []
    for reuse in (False, True):
        model = ToyGan(reuse)
        trainer = {"max_epochs": 1, "num_sanity_val_steps": 0, "limit_val_batches": 0}
        best = CheckpointConfig(best=[BestConfig(monitor="train/generator/distance")])
        run_toy(ToyContext(tmp_path / str(reuse), gan_config(checkpoint=best, trainer=trainer)), model)
        counts.append(model.generated)
    assert counts == [12, 6]


def test_the_values_of_every_turn_are_logged_validated_and_selected_by(tmp_path: Path) -> None:
    module = run_toy(ToyContext(tmp_path, gan_config()), ToyGan())
    names = {"generator/loss", "generator/distance", "discriminator/loss"}
    for kind in ("interval", "epoch"):
        for record in records(tmp_path, kind):
            assert {f"train/{name}" for name in names} <= set(record)
            assert {"lr/generator", "lr/discriminator", "updates/generator"} <= set(record)
    validations = records(tmp_path, "valid")
    assert all({f"valid/{name}" for name in names} <= set(record) for record in validations)
    module.model.eval()
    with torch.no_grad():
        distance = module.model(ToyDataset(10).inputs, "generator", {})["distance"].item()
    assert validations[-1]["valid/generator/distance"] == pytest.approx(distance, rel=1e-9)
    index = json.loads((tmp_path / "checkpoints" / "index.json").read_text())
    kept = index["selections"][0]["kept"]
    values = [record["valid/generator/distance"] for record in validations]
    assert sorted(entry["value"] for entry in kept) == sorted(values)[:2]
    average = load_file(resolve_checkpoint(tmp_path, "average"))
    assert any(name.startswith("discriminator.") for name in average)


def test_a_round_is_a_step_for_limits_intervals_and_checkpoints(tmp_path: Path) -> None:
    sides = {"generator": {"accumulate": 2}, "discriminator": {"accumulate": 1}}
    trainer = {"max_steps": 5, "max_epochs": -1, "log_every_n_steps": 2}
    module = run_toy(ToyContext(tmp_path, gan_config(**sides, trainer=trainer)), ToyGan())
    assert module.trainer.global_step == 5  # of an epoch of six batches, three, and two of the next
    assert {turn.name: turn.updates for turn in module.turns} == {"generator": 5, "discriminator": 10}
    assert [record["step"] for record in records(tmp_path, "interval")] == [1, 2, 4]
    state = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["espnet3"]["position"]["step"] == 5
    assert state["espnet3"]["position"]["batch"] == 4
    assert all(value["step"] for value in state["optimizer_states"][0]["state"].values())


@pytest.mark.parametrize("batches", [1, 5, 6, 7, math.inf])
def test_the_steps_that_schedules_plan_with_are_those_that_come(batches: float) -> None:
    for accumulate, other, every in itertools.product((1, 2, 3), (1, 2, 4), (1, 2, 3)):
        config = NamedOptimizer(parameters=["*"], accumulate=accumulate, every=every)
        length = math.lcm(accumulate, other)
        turn = Turn("one", config, {}, FiniteGuard())
        rounds, steps, counted = 0, 0, [0]
        for _ in range(7):
            for number in range(1, int(min(batches, 12)) + 1):
                last = number == batches
                if turn.takes_part(rounds):
                    steps += turn.steps_after(number, last=last)
                if last or number % length == 0:
                    rounds += 1
                    counted.append(steps)
        per_epoch = batches if math.isinf(batches) else math.ceil(batches / length)
        planned = [
            steps_in(count, config=config, length=length, batches=batches, rounds_per_epoch=per_epoch)
            for count in range(rounds + 1)
        ]
        assert planned == counted


class Unwell(ToyGan):
    """The generator's loss is not a number in some of its turns."""

    def __init__(self, bad: set[int]) -> None:
        super().__init__()
        self.bad, self.calls = bad, 0

    def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
        output = super().forward(inputs, turn, shared)
        if turn == "generator" and self.training:
            self.calls += 1
            if self.calls in self.bad:
                return output | {"loss": output["loss"] * float("nan")}
        return output


def test_a_loss_that_is_not_finite_leaves_out_the_step_of_its_optimizer_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The generator's second step, of batches 3 and 4, while gradients of the discriminator are waiting."""
    sides = {"generator": {"accumulate": 2}, "discriminator": {"accumulate": 3}}
    weights = []

    class Watched(AlternatingModule):
        def _learn(self, turn: Any, loss: torch.Tensor, *, step: bool) -> None:
            super()._learn(turn, loss, step=step)
            if step:
                weights.append((turn.name, fingerprint(turn.parameters)))

    config = gan_config(**sides, trainer={"max_epochs": 1, "num_sanity_val_steps": 0})
    module = run_toy(ToyContext(tmp_path, config), Unwell({3}), kind=Watched)
    generator = [value for name, value in weights if name == "generator"]
    discriminator = [value for name, value in weights if name == "discriminator"]
    assert generator[1] == generator[0]
    assert generator[2] != generator[1]
    assert len(set(discriminator)) == len(discriminator) == 2
    (message,) = [item.getMessage() for item in caplog.records if "not finite" in item.getMessage()]
    assert message.startswith("step 0, epoch 0: the loss of generator is not finite")
    assert module.turns[0].updates == 3
    assert module.turns[0].schedule["scheduler"].last_epoch == 2
    assert all(torch.isfinite(value).all() for value in module.parameters())


def test_averages_stand_still_only_when_every_turn_left_its_step_out(tmp_path: Path) -> None:
    class Sick(ToyGan):
        turns = 0

        def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
            output = super().forward(inputs, turn, shared)
            self.turns += self.training
            bad = self.training and self.turns in (3, 4, 5)  # both of the second batch, one of the third
            return output | {"loss": output["loss"] * (torch.nan if bad else 1.0)}

    ema, moved, former = EMA(EMAConfig(decay=0.5)), [], []

    class Watch(Callback):
        def on_train_batch_end(self, *rest: Any) -> None:
            now = torch.cat([value.flatten() for value in ema.averaged_weights().values()]).clone()
            moved.append(not former or not torch.equal(now, former[-1]))
            former.append(now)

    config = gan_config(trainer={"max_epochs": 1, "limit_train_batches": 4, "num_sanity_val_steps": 0})
    run_toy(ToyContext(tmp_path, config), Sick(), more=[ema, Watch()])
    assert moved == [True, False, True, True]


def test_freezing_and_groups_work_within_an_optimizer(tmp_path: Path) -> None:
    rules = [
        ParameterRule(match="generator.0.*", freeze=True),
        ParameterRule(match="discriminator.*.bias", options={"lr": 0.5, "weight_decay": 0.0}),
    ]
    model = ToyGan()
    before = fingerprint({"weight": model.generator[0].weight})
    sides = {"discriminator": {"scheduler": None}}
    module = run_toy(ToyContext(tmp_path, gan_config(parameters=rules, **sides)), model)
    assert fingerprint({"weight": model.generator[0].weight}) == before
    assert len(module.turns[0].optimizer.param_groups) == 1
    assert records(tmp_path, "interval")[-1]["lr/discriminator/1"] == 0.5


@pytest.mark.parametrize("order", [GENERATOR_FIRST, DISCRIMINATOR_FIRST], ids=["G-D", "D-G"])
def test_bf16_with_fused_optimizers_and_clipping_is_the_plain_loop(tmp_path: Path, order: Any) -> None:
    """The reference runs each forward pass under autocast of its own, and all else outside of it."""

    class Single(ToyGan):
        def __init__(self) -> None:
            super().__init__(reuse=True)
            self.float()

        def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
            with torch.autocast("cpu", torch.bfloat16):
                fake = shared.setdefault("fake", None)
                shared["fake"] = fake = self.generator(inputs) if fake is None else fake
                seen.append(fake.dtype)
                if turn == "generator":
                    loss = self.judge(fake, 1.0).float() + (fake - inputs).abs().mean()
                else:
                    loss = self.judge(fake, 0.0).float()
            return {"loss": loss, "distance": loss}

    seen: list[torch.dtype] = []
    adamw = Component(
        name="core/adamw", options={"lr": 0.01, "betas": [0.5, 0.9], "fused": True}, slot=Slot("optimizer")
    )
    sides = {side: {"clip": 0.1, "accumulate": 2, "optimizer": adamw} for side in order}
    config = gan_config(order, **sides, trainer={"precision": "bf16-mixed", "max_epochs": 2})
    model = Single()
    reference = Loop(copy.deepcopy(model), config)
    batches = Batches()
    run_toy(ToyContext(tmp_path, config), model, more=[batches])
    reference.run(batches.epochs)
    assert set(seen) == {torch.bfloat16}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, reference.model.state_dict()[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("patterns", "rules", "message"),
    [
        (
            {"g": ["generator.0.*"], "d": ["discriminator.*"]},
            [],
            r"no optimizer trains generator\.3\.weight, generator\.3\.bias\n.*exactly one optimizer",
        ),
        (
            {"g": ["generator.*", "*.0.bias"], "d": ["discriminator.*"]},
            [],
            r"more than one optimizer trains discriminator\.0\.bias \(g, d\)\n",
        ),
        (
            {"g": ["generatr.*"], "d": ["*"]},
            [],
            r"optimizers\.g\.parameters\.0: 'generatr\.\*' matches no .*\n.*did you mean 'generator\.\*'\?",
        ),
        (
            {"g": ["generator.*"], "d": ["discriminator.*"]},
            [ParameterRule(match="generator.*", freeze=True)],
            r"optimizers\.g\.parameters: all 4 parameters that it matches are frozen",
        ),
    ],
)
def test_each_trained_parameter_has_exactly_one_optimizer(
    patterns: dict[str, list[str]], rules: list[ParameterRule], message: str
) -> None:
    config = gan_config(parameters=rules)
    config.optimizers = {name: NamedOptimizer(parameters=own) for name, own in patterns.items()}
    with pytest.raises(UserError, match=message):
        AlternatingModule(ToyGan(), config)


def test_what_is_frozen_needs_no_optimizer() -> None:
    config = gan_config(parameters=[ParameterRule(match="generator.0.*", freeze=True)])
    config.optimizers["generator"].parameters = ["generator.3.*"]
    assert list(AlternatingModule(ToyGan(), config).turns[0].parameters) == [
        "generator.3.weight",
        "generator.3.bias",
    ]


class Confused(ToyGan):
    """Its loss for the generator depends on the discriminator alone."""

    def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
        loss = self.discriminator(inputs.double()).mean()
        return {"loss": loss, "distance": loss}


class Constant(ToyGan):
    def forward(self, inputs: torch.Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
        output = super().forward(inputs, turn, shared)
        return {name: value.detach() for name, value in output.items()}


class Deaf(ToyGan):
    def forward(self, inputs: torch.Tensor) -> dict[str, Any]:  # type: ignore[override]
        return super().forward(inputs, "generator", {})


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Confused(), "turn 'generator' depends on none of its parameters"),
        (Constant(), "turn 'generator' depends on none of its parameters"),
        (Deaf(), r"forward does not take `turn`.*\n.*add a keyword `turn`"),
    ],
)
def test_what_does_not_work_is_said(tmp_path: Path, model: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run_toy(ToyContext(tmp_path, gan_config()), model)


@pytest.mark.parametrize(
    ("strategy", "scaler", "message"),
    [
        (SingleDeviceStrategy("cpu"), object(), "16-mixed does not work with .*\n.*use bf16-mixed"),
        (SimpleNamespace(), None, "SimpleNamespace does not fit .*\n.*strategy: ddp"),
    ],
)
def test_scaled_gradients_and_sharded_models_are_refused(strategy: Any, scaler: Any, message: str) -> None:
    module = AlternatingModule(ToyGan(), gan_config())
    trainer: Any = SimpleNamespace(strategy=strategy, precision_plugin=SimpleNamespace(scaler=scaler))
    module.trainer = trainer
    with pytest.raises(UserError, match=message):
        module.setup("fit")
