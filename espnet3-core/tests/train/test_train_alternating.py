from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_gan import DISCRIMINATOR_FIRST, GENERATOR_FIRST, Batches, Loop, ToyGan, gan_config
from toy_training import ToyContext, run_toy

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
