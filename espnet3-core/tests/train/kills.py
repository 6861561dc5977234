"""Kills trainings at random micro-batches and continues them: ``kills.py FOLDER KILLS SEED NAME…``.

Prints a JSON object per setting. Each kill is SIGKILL to a process that was forked from this one, together
with its ranks and data workers.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback
from resume_cases import differing, in_process, run_case, traces

PHASES = ("on_train_batch_start", "on_after_backward", "on_train_batch_end")


class KillAt(Callback):
    """SIGKILL for the whole process group at a place in training."""

    def __init__(self, epoch: int, batch: int, phase: str) -> None:
        self.place = (epoch, batch)
        setattr(self, phase, self._hook)

    def _hook(self, trainer: Any, *rest: Any, **named: Any) -> None:
        loop = trainer.fit_loop
        if not trainer.sanity_checking and self.place == (trainer.current_epoch, loop.epoch_loop.batch_idx):
            os.killpg(0, signal.SIGKILL)


def prove(folder: Path, name: str, kills: int, seed: int) -> dict[str, Any]:
    """Train once without a break, and once with every kill; compare."""
    rng = random.Random(f"{seed} {name}")
    whole, parts = folder / f"{name} whole", folder / f"{name} parts"
    length = {"max_steps": 45} if name == "max_steps" else {"max_epochs": 8}
    longer: dict[str, Any] = {"trainer": length} if kills > 9 else {}
    assert in_process(lambda: run_case(whole, name, **longer)) == 0
    batches = sorted({(epoch, batch) for _, epoch, batch in traces(whole)})
    places = [(*place, rng.choice(PHASES)) for place in rng.sample(batches, kills)]
    places.append((1, max(batch for epoch, batch in batches if epoch == 1), "on_validation_batch_end"))
    places.sort(key=lambda place: (place[:2], place[2] == "on_validation_batch_end"))
    codes = []
    for epoch, batch, phase in places:
        codes.append(in_process(lambda at=KillAt(epoch, batch, phase): run_case(parts, name, [at], **longer)))
    end = in_process(lambda: run_case(parts, name, **longer))
    found = differing(whole, parts)
    shutil.rmtree(parts)
    return {
        "setting": name,
        "kills": len(places),
        "killed": codes.count(-signal.SIGKILL),
        "ended": end,
        "differing": found,
    }


if __name__ == "__main__":
    for setting in sys.argv[4:]:
        print(json.dumps(prove(Path(sys.argv[1]), setting, int(sys.argv[2]), int(sys.argv[3]))), flush=True)
