"""What a person sees of training: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ProgressBar

from espnet3_core.recipe.progress import _shown as shown

logger = logging.getLogger("espnet3")


class TrainingProgress(ProgressBar):
    """Shows records of the journal; on a terminal, a bar for each epoch and validation below them."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True
        self._bar: Any = None
        self._task: Any = None
        self._shown_at = 0.0

    def disable(self) -> None:
        """No bar; Lightning calls it on all ranks but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Show the bar."""
        self._enabled = True

    def report(self, record: dict[str, Any]) -> None:
        """A line for a record of the journal; interval lines only where there is no bar."""
        if record["kind"] == "interval" and self._bar is not None:
            self._bar.update(self._task, description=f"epoch {record['epoch']}  {_short_words(record)}")
        elif record["kind"] != "valid" or self._bar is None:
            hidden = () if self._bar is not None else ("valid/",)
            logger.info("%s", record_line(record, hidden if record["kind"] == "epoch" else ()))

    def on_train_epoch_start(self, trainer: Trainer, *_: Any) -> None:
        """Begin a bar."""
        self._start(f"epoch {trainer.current_epoch}", trainer.num_training_batches)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance the bar, a few times a second at most."""
        now = time.monotonic()
        if self._bar is not None and now - self._shown_at > 0.2:
            self._shown_at = now
            self._bar.update(self._task, completed=batch_idx + 1)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what the wait is for."""
        if self._bar is not None:
            self._bar.update(self._task, description=f"epoch {trainer.current_epoch} validation")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the bar."""
        self._stop()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the terminal as it was."""
        self._stop()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave the terminal as it was."""
        self._stop()

    def _start(self, title: str, total: float) -> None:
        self._stop()
        if not self._enabled or not sys.stderr.isatty():
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None if total == float("inf") else total)
        self._bar.start()
        shown.append(self._bar)  # log lines are printed above it

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            shown.remove(self._bar)
            self._bar = None


def record_line(record: dict[str, Any], hidden: tuple[str, ...] = ()) -> str:
    """A record of the journal as a line of text, less the values whose names start with ``hidden``."""
    record = (
        {name: value for name, value in record.items() if not name.startswith(hidden)} if hidden else record
    )
    head = f"epoch {record['epoch']} step {record['step']}"
    if record["kind"] == "interval":
        return f"{head}: {_interval_words(record)}"
    seconds = f" ({record['seconds']:.1f} s)" if "seconds" in record else ""
    return f"{head} {'validation' if record['kind'] == 'valid' else 'end'}: {_values(record)}{seconds}"


def _interval_words(record: dict[str, Any]) -> str:
    padded = f", padding {100 * record['padding']:.0f} %" if "padding" in record else ""
    rate = f"{record['utterances_per_second']:.1f} utt/s"
    time = f"step {record['step_time']:.3g} s, data wait {100 * record['data_wait']:.0f} %"
    return f"{_values(record)}, {_rates(record)}, {rate}{padded}, {time}"


def _short_words(record: dict[str, Any]) -> str:
    """What fits beside a bar on a terminal of 80 columns."""
    loss = f"loss {record['train/loss']:.4g}  " if "train/loss" in record else ""
    return f"{loss}{_rates(record)}"


def _rates(record: dict[str, Any]) -> str:
    """The learning rate, or that of each named optimizer; those of further parameter groups are left out."""
    if "lr" in record:
        return f"lr {record['lr']:.3g}"
    named = {name[3:]: rate for name, rate in record.items() if name.startswith("lr/")}
    return "lr " + " ".join(f"{name} {rate:.3g}" for name, rate in named.items() if "/" not in name)


def _values(record: dict[str, Any]) -> str:
    """Named values, the loss of training first."""
    names = [name for name in record if name.startswith(("train/", "valid/"))]
    names.sort(key=lambda name: (name.startswith("valid/"), not name.endswith("/loss"), name))
    return ", ".join(f"{name} {record[name]:.4g}" for name in names)
