"""Named optimizers on two gloo processes; a loop over the batches of both, written out, is the reference."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import copy, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from torch import nn
from espnet3_core.train.turns import average_gradients
from resume_cases import outcome
from test_train_alternating_resume import GanTrace
from toy_gan import Batches, DISCRIMINATOR_FIRST, GENERATOR_FIRST, Loop, ToyGan, gan_config
from toy_training import Died, ToyContext, read_trace, run_toy


class Counting(ToyGan):
    # A normalisation whose running statistics are looked at, and take no part in the losses.
    def __init__(self):
        super().__init__(reuse=True)
        self.norm = nn.BatchNorm1d(6, affine=False).double()
        self.met = []

    def forward(self, inputs, turn, shared):
        if self.training:
            if not shared:
                self.met.append(self.norm.running_mean.clone())
            self.norm(inputs.double())
        return super().forward(inputs, turn, shared)


class Keep(Batches):
    def __init__(self, path):
        super().__init__()
        self.path = path

    def on_train_end(self, trainer, module):
        model = module.model
        kept = {"batches": self.epochs, "model": model.state_dict(), "met": model.met}
        kept["updates"] = {turn.name: turn.updates for turn in module.turns}
        kept["rounds"] = trainer.global_step
        both, first, none = (nn.Parameter(torch.zeros(2)) for _ in range(3))
        both.grad = torch.full((2,), 1.0 + trainer.global_rank)
        if trainer.global_rank == 0:
            first.grad = torch.ones(2)
        average_gradients([both, first, none], 2)
        kept["averaged"] = [both.grad, first.grad, none.grad]
        torch.save(kept, self.path.with_name(f"kept{trainer.global_rank}"))


def run(directory, order, die_at=None):
    directory.mkdir(exist_ok=True)
    sides = {"generator": {"accumulate": 3, "clip": 0.2}, "discriminator": {"accumulate": 2, "every": 1}}
    trainer = {"strategy": "ddp_fork", "devices": 2, "max_epochs": 3}
    config = gan_config(order, **sides, trainer=trainer, every_steps=1)
    torch.manual_seed(3)
    model = Counting()
    initial = copy.deepcopy(model)
    trace = GanTrace(directory / "trace", die_at)
    run_toy(ToyContext(directory, config), model, trace=trace, more=[Keep(directory / "kept")], size=2)
    return initial, config


def agrees(directory, initial, config):
    ranks = [torch.load(directory / f"kept{rank}", weights_only=False) for rank in (0, 1)]
    reference = Loop(initial, config, ranks=2)
    reference.run([list(zip(*epochs)) for epochs in zip(*(rank["batches"] for rank in ranks))])
    expected = reference.model.state_dict()
    for kept in ranks:
        for name, value in kept["model"].items():
            if not name.startswith("norm."):
                torch.testing.assert_close(value, expected[name], rtol=0, atol=1e-12)
        assert kept["updates"] == reference.steps
        assert kept["rounds"] == reference.rounds
        assert [None if item is None else item.tolist() for item in kept["averaged"]] == [
            [1.5, 1.5], [0.5, 0.5], None
        ]
    assert all(torch.equal(a, b) for a, b in zip(ranks[0]["met"], ranks[1]["met"], strict=True))
    assert len({tuple(item.tolist()) for item in ranks[0]["met"]}) == len(ranks[0]["met"])


root = Path(sys.argv[2])
for name, order in (("gd", GENERATOR_FIRST), ("dg", DISCRIMINATOR_FIRST)):
    agrees(root / name, *run(root / name, order))
try:
    run(root / "parts", DISCRIMINATOR_FIRST, 9)
except Exception as error:
    assert "Died" in str(error), error
else:
    raise SystemExit("nobody died")
run(root / "parts", DISCRIMINATOR_FIRST)
for rank in (0, 1):
    whole, parts = (
        {(epoch, batch): record for epoch, batch, *record in read_trace(root / name / f"trace{rank}")}
        for name in ("dg", "parts")
    )
    assert whole == parts, rank
assert outcome(root / "dg") == outcome(root / "parts")
print("equal")
"""


def test_two_processes_train_as_one_loop_and_resume_bit_for_bit(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, timeout=600, check=False, capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.endswith("equal\n")
