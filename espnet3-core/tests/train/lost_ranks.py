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
from lightning.pytorch import Callback
from resume_cases import differing, in_process, run_case, traces

EPOCH, BATCH = 1, 1
SECONDS = 2.0


class At(Callback):
    """Does something on rank 1 when it begins a batch."""

    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        if (trainer.global_rank, trainer.current_epoch, batch_idx) == (1, EPOCH, BATCH):
            self.action()


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stick(name: str) -> Callable[[], None]:
    """From now on an item of this name is never there."""

    def action() -> None:
        read = toy_training.ToyDataset.__getitem__

        def never(self: Any, index: int) -> Any:
            item = read(self, index)
            if item["id"] == name:
                threading.Event().wait()
            return item

        toy_training.ToyDataset.__getitem__ = never  # type: ignore[method-assign]

    return action


def lose(folder: Path, way: str, whole: Path) -> dict[str, Any]:
    """Lose rank 1, look at what is left, and run the same again without a fault."""
    batches = traces(whole)
    following = batches["trace1", EPOCH, BATCH + 1][0][0]
    actions = {"kill": kill, "stop": stop, "stuck": stick(following[-1])}
    parts, begun = folder / way, time.monotonic()
    code = in_process(lambda: run_case(parts, "two ranks", [At(actions[way])], watchdog=SECONDS))
    seconds = time.monotonic() - begun
    ranks = parts / "ranks"
    found = {
        "way": way,
        "code": code,
        "seconds": seconds,
        "waits": following,
        "ids": [batches[f"trace{rank}", EPOCH, BATCH][0][0] for rank in (0, 1)],
        "report": (ranks / "report.txt").read_text(),
        "stacks": {path.name: path.read_text() for path in ranks.glob("*.stack")},
        "alive": [path.name for path in ranks.glob("[01].json") if _lives(path)],
    }
    found["again"] = in_process(lambda: run_case(parts, "two ranks"))
    return {**found, "differing": differing(whole, parts), "left": ranks.exists()}


def _lives(path: Path) -> bool:
    return Path(f"/proc/{json.loads(path.read_text())['pid']}").exists()


if __name__ == "__main__":
    root = Path(sys.argv[1])
    healthy = in_process(lambda: run_case(root / "whole", "two ranks"))
    print(
        json.dumps({"way": "healthy", "code": healthy, "left": (root / "whole/ranks").exists()}), flush=True
    )
    for name in sys.argv[2:]:
        print(json.dumps(lose(root, name, root / "whole")), flush=True)
