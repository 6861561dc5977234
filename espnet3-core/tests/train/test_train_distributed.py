import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from resume_cases import context_for, outcome
from toy_training import Died, Trace, read_trace, run_toy

class RankTrace(Trace):
    def on_train_batch_end(self, trainer, *rest):
        self.path = self.path.with_name(f"trace{trainer.global_rank}")
        super().on_train_batch_end(trainer, *rest)

def run(directory, die_at=None):
    directory.mkdir(exist_ok=True)
    context = context_for(directory, trainer={"strategy": "ddp_fork", "devices": 2})
    run_toy(context, trace=RankTrace(directory / "trace", die_at))

whole, parts = Path(sys.argv[2]) / "whole", Path(sys.argv[2]) / "parts"
run(whole)
try:
    run(parts, 5)
except Exception as error:
    assert "Died" in str(error), error
else:
    raise SystemExit("nobody died")
run(parts)
seen = []
for rank in (0, 1):
    first, second = (
        {(epoch, batch): record for epoch, batch, *record in read_trace(folder / f"trace{rank}")}
        for folder in (whole, parts)
    )
    assert first == second, rank
    seen += [(place[0], name) for place, record in first.items() for name in record[0]]
assert len(seen) == len(set(seen)) == 3 * 24  # in each epoch, each utterance on one rank
assert outcome(whole) == outcome(parts)
print("equal")
"""


GLOBAL_STEPS = """
import copy
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig
from resume_cases import context_for
from toy_training import ToyModel, run_toy

torch.manual_seed(1)
model = ToyModel()
model.encoder[2].p = 0.0  # dropout draws other numbers in other processes
begun = copy.deepcopy(model.state_dict())

def weights(devices):
    context = context_for(
        Path(sys.argv[2]) / str(devices),
        trainer={"strategy": "ddp_fork", "devices": devices} if devices > 1 else {},
        batch=BatchConfig(size=5, scope="global"),
        optimizer=Component(target="torch.optim.SGD", options={"lr": 0.05}),
    )
    context.directory.mkdir()
    run_toy(context, copy.deepcopy(model), size=5)
    return torch.load(context.experiment.checkpoints / "last.ckpt", weights_only=True)["state_dict"]

alone, shared = weights(1), weights(2)
assert alone.keys() == shared.keys()
for name, value in alone.items():
    assert (value - begun[name.removeprefix("model.")]).abs().max() > 1e-2, name
    torch.testing.assert_close(shared[name], value, rtol=0, atol=1e-6)
print("equal")
"""


def _equal(script: str, directory: Path) -> None:
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(directory)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.run(
        command, timeout=300, check=False, capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.endswith("equal\n")


def test_two_processes_resume_bit_for_bit_and_agree_on_the_means(tmp_path: Path) -> None:
    _equal(SCRIPT, tmp_path)


def test_a_global_step_of_two_processes_is_that_of_one_though_its_parts_differ_in_size(
    tmp_path: Path,
) -> None:
    _equal(GLOBAL_STEPS, tmp_path)
