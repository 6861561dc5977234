"""A step that is left out changes nothing: not on this rank, not on another, not with accumulation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMON = """
import copy, logging, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from espnet3_core.component import Component
from espnet3_core.train.config import EMAConfig
from espnet3_core.train.ema import EMA
from lightning.pytorch import Callback
from torch import nn
from toy_training import ToyContext, ToyModel, run_toy, toy_config

folder, devices = Path(sys.argv[2]), int(sys.argv[3])
logging.basicConfig(filename=folder / "log", level=logging.WARNING)
strategy = {"strategy": "ddp_fork", "devices": devices} if devices > 1 else {}
"""

FINITE = (
    COMMON
    + """
class Poisoned(ToyModel):
    def __init__(self):
        super().__init__()
        self.norm, self.calls = nn.BatchNorm1d(6), 0

    def forward(self, inputs, targets):
        self.calls += self.training
        rank = torch.distributed.get_rank() if devices > 1 else 0
        if self.training and self.calls == 4 and rank == devices - 1:
            inputs = inputs * float("nan")
        return super().forward(self.norm(inputs), targets)

class Watch(Callback):
    def __init__(self, ema):
        self.ema, self.seen = ema, []

    def state(self, trainer):
        # DDP gives the first rank's running statistics to the others before each forward pass
        kept = {k: v for k, v in trainer.lightning_module.state_dict().items()
                if devices == 1 or "norm.running" not in k}
        return copy.deepcopy([
            kept,
            trainer.optimizers[0].state_dict(),
            trainer.lr_scheduler_configs[0].scheduler.last_epoch,
            self.ema.state_dict(),
        ])

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        if batch_idx % 2 == 0:
            self.before = self.state(trainer)

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        if batch_idx % 2 or trainer.fit_loop.epoch_loop.batch_progress.is_last_batch:
            # the schedule is stepped after this hook: it is looked at when the next step begins
            self.seen.append((module.guard.left_out, same(self.before[:2], self.state(trainer)[:2]),
                              same(self.before[3], self.state(trainer)[3]), self.before[2]))

    def on_train_end(self, trainer, module):
        last = self.state(trainer)
        assert all(torch.isfinite(v).all() for v in module.state_dict().values())
        (folder / f"seen{trainer.global_rank}").write_text(repr((self.seen, last[2])))

def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b

ema = EMA(EMAConfig(decay=0.9))
config = toy_config(
    scheduler=Component(name="core/warmup_linear", options={"warmup": 2}),
    trainer={"max_epochs": 1, "accumulate_grad_batches": 2, "num_sanity_val_steps": 0, **strategy},
)
run_toy(ToyContext(folder, config), Poisoned(), more=[ema, Watch(ema)], count=24 * devices)
"""
)

EMPTY = (
    COMMON
    + """
from espnet3_core.data.bad_data import BadData
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import build_loader
from espnet3_core.config.roles import BatchConfig
from toy_training import ToyData, ToyDataset, collate
import toy_training

class Broken(ToyDataset):
    def __init__(self, bad):
        super().__init__()
        self.bad = set(bad)

    def __getitem__(self, index):
        if index in self.bad:
            raise OSError("no such recording")
        return super().__getitem__(index)

def loader(bad, rank, world):
    items = PreparedDataset(Broken(bad), training=True)
    listed = BadData("quarantine", 20, count=24, file=folder / "train.jsonl")
    return build_loader(
        items, BatchConfig(size=4), collator=collate, seed=5, rank=rank, world_size=world, bad=listed
    )

clean = {rank: [b["ids"] for b in loader((), rank, 2)] for rank in (0, 1)}
lost = {int(name[3:]) for name in clean[1][1]} | {int(clean[0][0][0][3:])}

class Data(ToyData):
    def train_dataloader(self):
        return loader(lost, self.trainer.global_rank, self.trainer.world_size)

class Ids(Callback):
    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        self.seen.append((trainer.global_step, batch["ids"]))

    def on_train_end(self, trainer, module):
        weights = [value.double().sum().item() for value in module.parameters()]
        (folder / f"seen{trainer.global_rank}").write_text(repr((self.seen, weights)))

toy_training.ToyData = Data
config = toy_config(trainer={"max_epochs": 1, "num_sanity_val_steps": 0, **strategy})
run_toy(ToyContext(folder, config), more=[Ids()])
names = {f"utt{index:03d}" for index in lost}
expected = {rank: [[i for i in ids if i not in names] for ids in batches] for rank, batches in clean.items()}
(folder / "expected").write_text(repr((expected, sorted(names))))
"""
)


def run(script: str, folder: Path, devices: int) -> list[object]:
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(folder), str(devices)]
    done = subprocess.run(
        command, timeout=500, check=False, capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [eval((folder / f"seen{rank}").read_text()) for rank in range(devices)]  # noqa: S307


@pytest.mark.parametrize("devices", [1, 2])
def test_a_left_out_step_changes_nothing_on_any_rank(tmp_path: Path, devices: int) -> None:
    for seen, last in run(FINITE, tmp_path, devices):
        # the fourth micro-batch is in the second of three steps
        assert [entry[:3] for entry in seen] == [
            (False, False, False), (True, True, True), (False, False, False)
        ]  # fmt: skip
        assert [entry[3] for entry in seen] == [0, 1, 1] and last == 2
    (line,) = [text for text in (tmp_path / "log").read_text().splitlines() if "not finite" in text][:1]
    assert line.count("utt") == 1 + 4  # "utterances", and those of the batch, whichever rank had it


def test_a_rank_whose_batch_cannot_be_read_keeps_step(tmp_path: Path) -> None:
    seen = run(EMPTY, tmp_path, 2)
    expected, names = eval((tmp_path / "expected").read_text())  # noqa: S307
    assert [ids for _, ids in seen[0][0]] == expected[0]  # type: ignore[index]
    assert [ids for _, ids in seen[1][0]] == expected[1]  # type: ignore[index]
    assert expected[1][1] == []
    assert [step for step, _ in seen[0][0]] == [step for step, _ in seen[1][0]] == [1, 2, 3]  # type: ignore[index]
    assert seen[0][1] == seen[1][1]  # type: ignore[index]
    listed = (tmp_path / "train.jsonl").read_text()
    assert all(name in listed for name in names) and listed.count("no such recording") == len(names)
