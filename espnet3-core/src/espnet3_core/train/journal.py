"""``metrics.jsonl``: one JSON object per logging interval, validation and epoch; loggers get the same."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.files import atomic_write_text, disk_errors, make_directory, remove_leftovers
from espnet3_core.train.meter import Meter
from espnet3_core.train.outputs import batch_size
from espnet3_core.train.position import Position

Listener = Callable[[dict[str, Any]], None]


class Journal(Callback):
    """Writes records on rank 0 and passes them on.

    A record has ``kind`` (``interval``, ``valid``, ``epoch``), ``epoch`` counted from 0, ``step`` (optimizer
    steps done), the values, and in intervals ``lr``, ``utterances_per_second``, ``step_time`` (seconds per
    optimizer step, waits included), ``data_wait`` (share of the time) and ``padding`` (share of padded
    samples). Named optimizers have ``lr/<name>`` and, for their own steps, ``updates/<name>``. Interval
    values are those of rank 0; the others are means over all ranks.

    Args:
        path: ``metrics.jsonl``.
        listeners: Called with each record: progress display.
        meter: Measures where the time goes.
    """

    def __init__(self, path: Path, listeners: tuple[Listener, ...] = (), meter: Meter | None = None) -> None:
        self.path = path
        self.listeners = listeners
        self._meter = meter or Meter()
        self._last_step = 0
        self._epoch_started = 0.0
        self._validated = False

    def continue_from(self, position: Position) -> None:
        """Drop the records of what is going to be repeated."""
        self._last_step = position.step
        if not self.path.exists():
            return
        remove_leftovers(self.path.parent, f"{self.path.name}.*")
        kept = [
            line for line in self.path.read_text(encoding="utf-8").splitlines() if _before(line, position)
        ]
        atomic_write_text(self.path, "".join(f"{line}\n" for line in kept))

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make the folder."""
        if trainer.is_global_zero:
            make_directory(self.path.parent)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clocks."""
        self._epoch_started = time.monotonic()
        self._validated = False
        self._meter.restart(trainer.global_step, trainer.train_dataloader)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """The batch is here: stop counting the wait."""
        self._meter.arrived()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the batch, and write an interval record when one is due."""
        module: Any = pl_module
        size = batch_size(batch) if isinstance(batch, Mapping) else 0
        self._meter.count(size, module.batch_padding, trainer.strategy.root_device.type == "cuda")
        step = trainer.global_step
        due = (
            step % max(cast(Any, trainer).log_every_n_steps, 1) == 0 or step == 1
        )  # the first shows that it runs
        if not due or step == self._last_step:
            return
        self._last_step = step
        means = {f"train/{name}": value for name, value in module.interval_means.means().items()}
        module.interval_means.reset()
        facts = {"epoch": trainer.current_epoch, "step": step, **module.optimizer_facts()}
        self.write(trainer, {"kind": "interval", **facts, **means, **self._meter.read(step)})

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the values of a validation."""
        self._meter.validated()
        if not trainer.sanity_checking:
            self._validated = True
            self._write_means(trainer, pl_module, "valid", ("valid/",))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Publish the means of the epoch, before other callbacks ask for them, and write them."""
        module: Any = pl_module
        module.publish("train", module.epoch_means)
        seconds = round(time.monotonic() - self._epoch_started, 3)
        batches = trainer.fit_loop.epoch_loop.batch_progress
        partial = batches.current.ready < trainer.num_training_batches and not batches.is_last_batch
        extra = {"partial": True} if partial else {}
        which = ("train/", "valid/") if self._validated else ("train/",)
        self._write_means(
            trainer, pl_module, "epoch", which, **module.optimizer_facts(), seconds=seconds, **extra
        )

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """What a checkpoint does not repeat must be on the disk before it."""
        if trainer.is_global_zero and self.path.exists():
            with disk_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
                os.fsync(stream.fileno())

    def _write_means(
        self, trainer: Trainer, pl_module: LightningModule, kind: str, prefixes: tuple[str, ...], **extra: Any
    ) -> None:
        module: Any = pl_module
        values = {name: value for name, value in sorted(module.latest.items()) if name.startswith(prefixes)}
        epoch = trainer.fit_loop.epoch_progress.current.completed
        self.write(trainer, {"kind": kind, "epoch": epoch, "step": trainer.global_step, **extra, **values})

    def write(self, trainer: Trainer, record: dict[str, Any]) -> None:
        """Append a record on rank 0, and pass it on to listeners and loggers."""
        if not trainer.is_global_zero:
            return
        stamped = {**record, "time": datetime.now(UTC).isoformat(timespec="seconds")}
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({key: _plain(value) for key, value in stamped.items()}) + "\n")
        for listener in self.listeners:
            listener(record)
        numbers = _numbers(record)
        for sink in trainer.loggers:
            sink.log_metrics(numbers, step=record["step"])


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """What loggers draw: intervals and validations as they are, means of an epoch as ``epoch/<name>``."""
    names = [
        key
        for key, value in record.items()
        if isinstance(value, (int, float)) and key not in ("step", "partial")
    ]
    if record["kind"] != "epoch":
        return {name: record[name] for name in names}
    return {
        name.replace("train/", "epoch/"): record[name]
        for name in names
        if name != "epoch" and name[:6] != "valid/"
    }


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: they are written as words."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _before(line: str, position: Position) -> bool:
    try:
        record = json.loads(line)
    except ValueError:  # the last line of a process that was killed
        return False
    if record.get("partial"):
        return False
    if record["kind"] == "interval":
        return bool(record["step"] <= position.step)
    if record["epoch"] == position.epoch:
        # Within the epoch that goes on: validations before this point stay, the one still to come does not.
        return bool(
            record["step"] < position.step or (record["step"] == position.step and not position.after_batch)
        )
    return bool(record["epoch"] < position.epoch)
