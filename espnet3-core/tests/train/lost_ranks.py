"""Loses one of two ranks in several ways, and goes on: ``lost_ranks.py FOLDER``; one JSON object for each."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import toy_training
from espnet3_core.data.lock import process_start
from espnet3_core.recipe.ranks import aftermath, read_states
from lightning.pytorch import Callback
from resume_cases import differing, in_process, run_case, traces

EPOCH, BATCH = 1, 1
SECONDS = 2.0


class At(Callback):
    """Does something on rank 1 when it begins a batch, or at the very beginning."""

    def __init__(self, action: Callable[[], None], early: bool = False) -> None:
        self.action, self.early = action, early

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        if self.early and trainer.global_rank == 1:
            self.action()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        place = (trainer.global_rank, trainer.current_epoch, batch_idx)
        if not self.early and place == (1, EPOCH, BATCH):
            self.action()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stick(name: str, pid: Path) -> Callable[[], None]:
    """From now on the item of this name is never there."""

    def action() -> None:
        read = toy_training.ToyDataset.__getitem__

        def never(self: Any, index: int) -> Any:
            item = read(self, index)
            if item["id"] == name:
                pid.write_text(str(os.getpid()))
                threading.Event().wait()
            return item

        toy_training.ToyDataset.__getitem__ = never  # type: ignore[method-assign]

    return action


def lose(folder: Path, way: str, whole: Path) -> dict[str, Any]:
    """Lose rank 1, look at what is left, and run the same again without a fault."""
    batches = traces(whole)
    waits = batches["trace1", 0, 2] if way == "worker" else batches["trace1", EPOCH, BATCH + 1]
    missing = max(waits[0][0])  # the first ones are in the validation set, too
    parts, begun = folder / way, time.monotonic()
    reader = folder / f"{way}.pid"
    faults = {
        "kill": At(kill),
        "stop": At(stop),
        "stuck": At(stick(missing, reader)),
        "worker": At(stick(missing, reader), early=True),
    }
    data = {"workers": 1} if way == "worker" else {}
    code = in_process(lambda: run_case(parts, "two ranks", [faults[way]], watchdog=SECONDS, data=data))
    ranks = parts / "ranks"
    trouble = aftermath(ranks, parts / "train.log", told=code > 0)
    found = {
        "way": way,
        "code": trouble and trouble.code,
        "seconds": time.monotonic() - begun,
        "waits": waits[0][0],
        "ids": [batches[f"trace{rank}", EPOCH, BATCH][0][0] for rank in (0, 1)],
        "report": (ranks / "report.txt").read_text(),
        "log": (parts / "train.log").read_text(),
        "stacks": {path.name: path.read_text() for path in ranks.glob("*.stack")},
        "alive": [state.rank for state in read_states(ranks).values() if not state.gone],
        "reader": reader.exists() and process_start(int(reader.read_text())) is not None,
    }
    found["again"] = in_process(lambda: run_case(parts, "two ranks"))
    return {**found, "differing": differing(whole, parts), "left": ranks.exists()}


if __name__ == "__main__":
    root = Path(sys.argv[1])
    healthy = in_process(lambda: run_case(root / "whole", "two ranks"))
    print(
        json.dumps({"way": "healthy", "code": healthy, "left": (root / "whole/ranks").exists()}), flush=True
    )
    for name in sys.argv[2:]:
        print(json.dumps(lose(root, name, root / "whole")), flush=True)
