"""Interrupted trainings with named optimizers end as uninterrupted ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import BestConfig, CheckpointConfig
from espnet3_core.errors import UserError
from espnet3_core.train.config import EMAConfig
from espnet3_core.train.ema import EMA
from resume_cases import outcome
from toy_gan import DISCRIMINATOR_FIRST, GENERATOR_FIRST, ToyGan, gan_config
from toy_training import Died, ToyContext, Trace, read_trace, run_toy

PLATEAU = Component(
    target="torch.optim.lr_scheduler.ReduceLROnPlateau",
    options={"patience": 0, "factor": 0.5, "threshold": 1.0, "monitor": "valid/discriminator/loss"},
    slot=Slot("scheduler"),
)
BY_EPOCH = Component(
    target="torch.optim.lr_scheduler.ExponentialLR",
    options={"gamma": 0.7, "interval": "epoch"},
    slot=Slot("scheduler"),
)
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unequal": {"generator": {"accumulate": 2}, "discriminator": {"accumulate": 1, "scheduler": PLATEAU}},
    "now and then": {
        "order": DISCRIMINATOR_FIRST,
        "generator": {"every": 2, "accumulate": 2, "scheduler": BY_EPOCH},
        "discriminator": {"clip": 0.1},
        "trainer": {"val_check_interval": 3},
    },
}


class GanTrace(Trace):
    """Every micro-batch: place, ids, the losses and the learning rates, exactly; dies when told to."""

    def __init__(self, path: Path, die_at: int | None = None, kill: bool = False) -> None:
        super().__init__(path, die_at)
        self.kill = kill

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        losses = {name: loss.item().hex() for name, loss in outputs.items()}
        record = [trainer.current_epoch, batch_idx, batch["ids"], losses, module.optimizer_facts()]
        path = self.path.with_name(f"{self.path.name}{trainer.global_rank}")
        with path.open("a") as stream:
            stream.write(json.dumps([*record, trainer.global_step]) + "\n")
        self.seen += 1
        if self.seen == self.die_at:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Died


def run(
    directory: Path, name: str = "plain", die_at: int | None = None, kill: bool = False, **changes: Any
) -> Any:
    checkpoint = CheckpointConfig(
        best=[BestConfig(monitor="valid/generator/distance", keep=2)], every_steps=changes.pop("every", 1)
    )
    settings = {**SETTINGS[name], **changes}
    trainer = {"max_epochs": 3, **settings.pop("trainer", {})}
    config = gan_config(checkpoint=checkpoint, trainer=trainer, **settings)
    torch.manual_seed(3)
    return run_toy(
        ToyContext(directory, config),
        ToyGan(reuse=True),
        trace=GanTrace(directory / "trace", die_at, kill=kill),
        more=[EMA(EMAConfig(decay=0.9))],
    )


def whole_of(directory: Path) -> tuple[Any, Any]:
    trace = {(epoch, batch): record for epoch, batch, *record in read_trace(directory / "trace0")}
    return trace, outcome(directory)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    found = {}
    for name in SETTINGS:
        directory = tmp_path_factory.mktemp("whole")
        run(directory, name)
        found[name] = whole_of(directory)
    return found


@pytest.mark.parametrize(
    ("name", "deaths"),
    [
        ("plain", [2, 5]),
        ("unequal", [6]),
        ("unequal", [3, 8]),
        ("now and then", [5, 4]),
        ("now and then", [9]),
    ],
)
def test_a_training_that_died_ends_as_if_it_had_not(
    tmp_path: Path, references: dict[str, Any], name: str, deaths: list[int]
) -> None:
    for death in deaths:
        with pytest.raises(Died):
            run(tmp_path, name, death)
    run(tmp_path, name)
    assert whole_of(tmp_path) == references[name]


def test_a_killed_process_is_continued_by_the_same_command(
    tmp_path: Path, references: dict[str, Any]
) -> None:
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from test_train_alternating_resume import run\n"
        "run(Path(sys.argv[2]), 'now and then', 9, kill=True)\n"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path)]
    process = subprocess.run(command, timeout=300, check=False, capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr
    run(tmp_path, "now and then")
    assert whole_of(tmp_path) == references["now and then"]


def test_another_order_or_other_optimizers_are_not_continued_with(tmp_path: Path) -> None:
    run(tmp_path, trainer={"max_epochs": 1}, order=GENERATOR_FIRST)
    message = (
        r"training\.optimizers: discriminator, generator; the checkpoint was trained with "
        r"generator, discriminator"
    )
    with pytest.raises(UserError, match=message):
        run(tmp_path, order=DISCRIMINATOR_FIRST)
