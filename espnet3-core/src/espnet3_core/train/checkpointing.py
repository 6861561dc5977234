"""The callback that saves: a resumable ``last.ckpt``, the best models, and their average."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from espnet3_core.config.roles import CheckpointConfig
from espnet3_core.errors import Interrupted, UserError
from espnet3_core.files import disk_errors, make_directory, sync_directory
from espnet3_core.names import did_you_mean
from espnet3_core.train.checkpoint_io import write_directly
from espnet3_core.train.checkpoints import (
    LAST,
    Kept,
    Selection,
    average_weights,
    model_state,
    save_weights,
    write_index,
)
from espnet3_core.train.position import Position, after_batch, at_end, at_epoch_start
from espnet3_core.train.resume import STATE
from espnet3_core.train.signals import Signals

logger = logging.getLogger(__name__)


class Checkpointing(Checkpoint):
    """Saves what resuming and inference need; runs after all other callbacks.

    Args:
        directory: ``checkpoints`` of the experiment.
        config: What to save.
        limits: How long to train, to tell an early stop from one that a longer training goes on from.
    """

    def __init__(
        self, directory: Path, config: CheckpointConfig, limits: Mapping[str, str] | None = None
    ) -> None:
        self.directory = directory
        self.config = config
        self.selections = [Selection(best.monitor, best.mode, best.keep) for best in config.best]
        self._limits = dict(limits or {})
        self._stopped = False
        self._doomed: list[str] = []
        self._position: Position | None = None
        self._means: Any = None
        self._started_at: int | None = None
        self._saved_at: Position | None = None
        self._signals = Signals()

    # What is saved, and when ------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals from here on."""
        if trainer.is_global_zero:
            make_directory(self.directory)
        write_directly(trainer.strategy)
        self._signals.listen()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save between epochs: schedules that wait for a validation have been updated by now."""
        position = at_epoch_start(trainer)
        if self._started_at is not None:
            self.save(trainer, position)
        self._started_at = position.epoch
        self._stop_if_asked(trainer, position, saved=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save on request and every so many optimizer steps."""
        if trainer.fit_loop._should_accumulate():
            return
        position = after_batch(trainer, batch_idx)
        every = self.config.every_steps
        due = bool(every) and position.step % (every or 1) == 0
        if due:
            self.save(trainer, position)
        self._stop_if_asked(trainer, position, saved=due)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """A signal need not wait for the end of a validation, which is then repeated."""
        busy = trainer.sanity_checking or trainer.fit_loop._should_accumulate()
        if busy or trainer.world_size > 1:  # ranks may have different numbers of validation batches
            return
        self._stop_if_asked(trainer, after_batch(trainer, trainer.fit_loop.epoch_loop.batch_idx), saved=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of training, from which a longer one goes on."""
        self._stopped = trainer.should_stop
        self.save(trainer, at_end(trainer))
        self._signals.ignore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._signals.ignore()

    def _stop_if_asked(self, trainer: Trainer, position: Position, *, saved: bool) -> None:
        if not self._signals.agreed(trainer):
            return
        if not saved:
            self.save(trainer, position)
        raise Interrupted(
            f"{self._signals.name} at {position.words}: everything is saved in {self.directory / LAST}",
            hint="run the same command again to continue",
        )

    def save(self, trainer: Trainer, position: Position) -> None:
        """Write ``last.ckpt``, then drop the models that are no longer among the best; a collective call."""
        if self._saved_at == position:
            return
        self._position = position
        module: Any = trainer.lightning_module
        self._means = module.means_state()
        if position.batch == 0:
            self._means["epoch"] = [[] for _ in self._means["epoch"]]
        temporary = self.directory / f".{LAST}.tmp"
        try:
            with disk_errors(temporary):
                trainer.save_checkpoint(temporary)
                if trainer.is_global_zero:
                    _replace(temporary, self.directory / LAST)
        except BaseException:
            temporary.unlink(missing_ok=True)  # half a checkpoint on a full disk
            raise
        self._saved_at = position
        if trainer.is_global_zero:
            self._sweep()
            write_index(self.directory, self.selections, self._last())

    def _last(self) -> dict[str, Any] | None:
        return None if self._saved_at is None else {"file": LAST, **self._saved_at.to_dict()}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put our state in, and leave Lightning's loop counters out: :mod:`espnet3_core.train.position`."""
        if self._position is None:
            return
        checkpoint.pop("loops", None)
        checkpoint[STATE] = {
            "version": 1,
            "position": self._position.to_dict(),
            "means": self._means,
            "selections": [selection.to_dict() for selection in self.selections],
            "world_size": trainer.world_size,
            "stopped": self._limits if self._stopped else None,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue with the tables of a checkpoint; a selection that was changed starts anew."""
        saved = {
            (table["monitor"], table["mode"]): Selection.from_dict(table) for table in state["selections"]
        }
        for selection in self.selections:
            former = saved.get((selection.monitor, selection.mode))
            if former is not None:
                selection.kept = [kept for kept in former.kept if (self.directory / kept.file).exists()][
                    : selection.keep
                ]
                selection.average = former.average

    # The best models --------------------------------------------------------------------------------------

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A monitored value that validation does not produce is found out before training, not after."""
        module: Any = pl_module
        self._check_monitors(module.latest, "valid/")
        module.latest.clear()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Select by values of the validation."""
        if not trainer.sanity_checking:
            self._select(trainer, pl_module, "valid/", _epochs(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Select by values of the epoch."""
        self._select(trainer, pl_module, "train/", _epochs(trainer) - 1)

    def _check_monitors(self, values: dict[str, float], prefix: str) -> None:
        for index, selection in enumerate(self.selections):
            if selection.monitor.startswith(prefix) and selection.monitor not in values:
                raise UserError(
                    f"training.checkpoint.best.{index}.monitor: {selection.monitor!r} is not logged",
                    hint=did_you_mean(
                        selection.monitor, values, otherwise=f"logged: {', '.join(sorted(values))}"
                    ),
                )

    def _select(self, trainer: Trainer, pl_module: LightningModule, prefix: str, epoch: int) -> None:
        module: Any = pl_module
        self._check_monitors(module.latest, prefix)
        mine = [item for item in self.selections if item.monitor.startswith(prefix)]
        wanting = [item for item in mine if item.wants(module.latest[item.monitor])]
        if not wanting:
            return
        weights = self._weights(trainer)
        if trainer.is_global_zero:
            self._keep(wanting, module.latest, weights, epoch, trainer.global_step)

    def _keep(
        self,
        wanting: Sequence[Selection],
        values: dict[str, float],
        weights: dict[str, Tensor],
        epoch: int,
        step: int,
    ) -> None:
        name = f"epoch{epoch:03d}_step{step:07d}.safetensors"
        save_weights(self.directory / name, weights, {"epoch": epoch, "step": step, "values": values})
        for selection in wanting:
            self._doomed += selection.add(Kept(name, values[selection.monitor], epoch, step))
            index = self.selections.index(selection)
            if self.config.best[index].average:
                self._average(selection, index)
        write_index(self.directory, self.selections, self._last())

    def _average(self, selection: Selection, index: int) -> None:
        name = (
            "average.safetensors"
            if index == 0
            else f"average_{index}_{selection.monitor.replace('/', '.')}.safetensors"
        )
        sources = sorted(selection.kept, key=lambda kept: kept.step)
        weights = average_weights([self.directory / kept.file for kept in sources])
        save_weights(self.directory / name, weights, {"average_of": [kept.file for kept in sources]})
        selection.average = name

    def _weights(self, trainer: Trainer) -> dict[str, Tensor]:
        """The weights that were validated: a callback's averaged ones, or the model's own."""
        state = model_state(trainer.strategy.lightning_module_state_dict())
        for callback in cast(Any, trainer).callbacks:
            averaged = getattr(callback, "averaged_weights", None)
            if callable(averaged):
                state.update(averaged())
        return state

    def _sweep(self) -> None:
        """Delete models that fell out of every table; ``last.ckpt`` named them until now."""
        used = {kept.file for selection in self.selections for kept in selection.kept}
        for name in set(self._doomed) - used:
            with suppress(FileNotFoundError):
                os.unlink(self.directory / name)
        self._doomed = []


def _epochs(trainer: Trainer) -> int:
    """Epochs whose batches are all done."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return int(progress.processed)


def _replace(temporary: Path, target: Path) -> None:
    handle = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(temporary, target)
    sync_directory(target.parent)
