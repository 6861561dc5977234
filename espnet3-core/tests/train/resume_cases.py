"""Trainings that are interrupted, in every setting that resuming has to be exact in, and what they leave."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BestConfig, CheckpointConfig
from espnet3_core.errors import UserError
from espnet3_core.train.config import EMAConfig
from safetensors import safe_open
from safetensors.torch import load_file
from toy_training import ToyContext, Trace, read_trace, run_toy, toy_config

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulate": {"trainer": {"accumulate_grad_batches": 2}},
    "uneven": {"trainer": {"accumulate_grad_batches": 4}},
    "validation inside epochs": {"trainer": {"val_check_interval": 3}},
    "max_steps": {"trainer": {"max_steps": 14, "max_epochs": -1}},
    "workers": {"data": {"workers": 2}},
    "augmentation": {"data": {"augment": True, "workers": 1}},
    "ema": {"ema": True},
    "two ranks": {"trainer": {"strategy": "ddp_fork", "devices": 2}},
}


def context_for(
    directory: Path, name: str = "plain", *, every: int | None = 2, keep: int = 2, **changes: Any
) -> ToyContext:
    config = toy_config(
        trainer={"max_epochs": 3, **SETTINGS[name].get("trainer", {}), **changes.pop("trainer", {})},
        scheduler=Component(target="torch.optim.lr_scheduler.ExponentialLR", options={"gamma": 0.95}),
        checkpoint=CheckpointConfig(
            best=[BestConfig(keep=keep), BestConfig(monitor="train/mae", keep=1)], every_steps=every
        ),
        **changes,
    )
    return ToyContext(directory, config)


class RankTrace(Trace):
    """A trace for each rank."""

    def on_train_batch_end(self, trainer: Any, *rest: Any) -> None:
        self.path = self.path.with_name(f"trace{trainer.global_rank}")
        super().on_train_batch_end(trainer, *rest)


def run_case(
    directory: Path,
    name: str,
    more: Sequence[Any] = (),
    data: Mapping[str, Any] | None = None,
    **changes: Any,
) -> None:
    """The command: it begins, goes on, or finds that nothing is left to do."""
    from espnet3_core.train.ema import EMA

    directory.mkdir(exist_ok=True)
    averages = [EMA(EMAConfig(decay=0.5))] if SETTINGS[name].get("ema") else []
    context = context_for(directory, name, **changes)
    trace = RankTrace(directory / "trace")
    data = SETTINGS[name].get("data", {}) if data is None else data
    run_toy(context, trace=trace, more=[*averages, *more], **data)


def in_process(action: Callable[[], None]) -> int:
    """Run an action in a forked process with a group of its own; returns its exit code, -9 when killed."""
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 1
        try:
            action()
            code = 0
        except UserError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def script(name: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a script of this folder in a new process, which may fork; the JSON objects that it prints."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name(name)), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def outcome(directory: Path) -> dict[str, Any]:
    """Everything that must not depend on interruptions, exactly."""
    checkpoints = directory / "checkpoints"
    records = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    timing = ("time", "seconds", "utterances_per_second", "step_time", "data_wait")
    return {
        "records": [{k: v for k, v in record.items() if k not in timing} for record in records],
        "index": json.loads((checkpoints / "index.json").read_text()),
        "files": sorted(path.name for path in checkpoints.iterdir()),
        "weights": {path.name: weights_of(path) for path in sorted(checkpoints.glob("*.safetensors"))},
        "last": digest(torch.load(checkpoints / "last.ckpt", weights_only=True)),
    }


def weights_of(path: Path) -> tuple[str, Any]:
    with safe_open(str(path), framework="pt") as stream:
        return digest(load_file(path)), stream.metadata()


def digest(value: Any) -> str:
    """Digest of nested tensors and plain values, bit for bit."""
    found = hashlib.sha256()

    def take(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            found.update(f"{part.dtype}{tuple(part.shape)}".encode() + part.contiguous().numpy().tobytes())
        elif isinstance(part, Mapping):
            for key in sorted(part, key=str):
                found.update(f"{key}=".encode())
                take(part[key])
        elif isinstance(part, list | tuple):
            for item in part:
                take(item)
        else:
            found.update((part.hex() if isinstance(part, float) else repr(part)).encode() + b";")

    take(value)
    return found.hexdigest()


def traces(directory: Path) -> dict[tuple[Any, ...], list[Any]]:
    """Micro-batches by rank, epoch and number: ids, loss, learning rate, step; each that differs."""
    found: dict[tuple[Any, ...], list[Any]] = {}
    for path in sorted(directory.glob("trace*")):
        for epoch, batch, *record in read_trace(path):
            records = found.setdefault((path.name, epoch, batch), [])
            if record not in records:
                records.append(record)
    return found


def differing(whole: Path, parts: Path) -> list[str]:
    """Names of values that are not equal, bit for bit, after an interrupted training and one that was not."""
    first, second = traces(whole), traces(parts)
    found = [str(place) for place in {**first, **second} if first.get(place) != second.get(place)]
    ones, others = outcome(whole), outcome(parts)
    return found + [name for name in ones if ones[name] != others[name]]
