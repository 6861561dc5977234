"""Where training stands, and how Lightning's loops are put there.

A checkpoint is taken either between epochs or right after a batch that ended in an optimizer step. In the
second case what Lightning does after a batch (validation, when it is due) is still to come, and is done
first on resuming. Lightning's own loop counters are neither saved nor restored: resuming from them repeats
or loses batches and validations in the middle of an epoch.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Position:
    """A point in training.

    Attributes:
        epoch: Epochs completed.
        batch: Micro-batches of the running epoch that are done, on each rank.
        step: Optimizer steps done.
        total_batches: Micro-batches done since the beginning.
        after_batch: What follows a batch (validation when due) is still to be done.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    total_batches: int = 0
    after_batch: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Position:
        """What :meth:`to_dict` wrote."""
        return cls(**state)

    @property
    def words(self) -> str:
        """For messages."""
        batch = f", batch {self.batch}" if self.batch else ""
        return f"epoch {self.epoch}{batch}, step {self.step}"


def at_epoch_start(trainer: Any) -> Position:
    """The position before the first batch of an epoch."""
    loop = trainer.fit_loop
    total = loop.epoch_loop.batch_progress.total.completed
    return Position(loop.epoch_progress.current.completed, 0, trainer.global_step, total)


def at_end(trainer: Any) -> Position:
    """The position after training.

    When training stopped inside an epoch (``max_steps``), the epoch counts as unfinished, so that a longer
    training goes on in it.
    """
    loop = trainer.fit_loop
    batches = loop.epoch_loop.batch_progress
    epoch = loop.epoch_progress.current.completed
    if epoch and 0 < batches.current.completed < loop.max_batches and not batches.is_last_batch:
        return Position(epoch - 1, batches.current.completed, trainer.global_step, batches.total.completed)
    return Position(epoch, 0, trainer.global_step, batches.total.completed)


def after_batch(trainer: Any, batch_idx: int) -> Position:
    """The position once the batch ``batch_idx`` of the running epoch is done and its validation is not."""
    loop = trainer.fit_loop
    return Position(
        epoch=loop.epoch_progress.current.processed,
        batch=batch_idx + 1,
        step=trainer.global_step,
        total_batches=loop.epoch_loop.batch_progress.total.ready,
        after_batch=True,
    )


def go_to(trainer: Any, position: Position) -> None:
    """Put the loops of a trainer that has not started yet at a position."""
    loop = trainer.fit_loop
    epochs = loop.epoch_loop
    for progress in (loop.epoch_progress.current, loop.epoch_progress.total):
        progress.ready = progress.started = progress.processed = progress.completed = position.epoch
    total = epochs.batch_progress.total
    total.ready = total.started = total.processed = total.completed = position.total_batches
    step = epochs.automatic_optimization.optim_progress.optimizer.step.total
    step.ready = step.completed = position.step
    manual = epochs.manual_optimization.optim_step_progress.total
    manual.ready = manual.completed = position.step
    epochs._batches_that_stepped = position.step
    if position.batch:
        _enter_epoch(epochs, position)


def _enter_epoch(epochs: Any, position: Position) -> None:
    """Start the next epoch in its middle.

    Lightning sets the counters of an epoch to zero right before it fetches the first batch, and calls no
    hook in between: its ``on_run_start`` is the only place to set them again.
    """
    on_run_start = epochs.on_run_start

    def resumed(data_fetcher: Any) -> None:
        del epochs.on_run_start
        current = epochs.batch_progress.current
        current.ready = current.started = current.processed = current.completed = position.batch
        epochs.batch_progress.is_last_batch = position.batch >= epochs.trainer.num_training_batches
        on_run_start(data_fetcher)
        data_fetcher.done = epochs.batch_progress.is_last_batch
        if position.after_batch:
            epochs._batches_that_stepped -= 1
            epochs.on_advance_end(data_fetcher)

    epochs.on_run_start = resumed
