"""The callback that saves: two states to resume from, the best models, and their averages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from espnet3_core.config.roles import CheckpointConfig
from espnet3_core.errors import Interrupted
from espnet3_core.files import disk_errors, make_directory, remove_leftovers
from espnet3_core.train.best import BestModels
from espnet3_core.train.checkpoint_io import write_directly
from espnet3_core.train.checkpoints import model_state
from espnet3_core.train.position import Position, after_batch, at_end, at_epoch_start
from espnet3_core.train.resume import STATE, VERSION, Resume, last_of
from espnet3_core.train.signals import Signals
from espnet3_core.train.states import LAST, promote


class Checkpointing(Checkpoint):
    """Saves what resuming and inference need; runs after all other callbacks.

    Args:
        directory: ``checkpoints`` of the experiment.
        config: What to save.
        limits: How long to train, to tell an early stop from one that a longer training goes on from.
        resume: Where training goes on; None from the beginning.
    """

    def __init__(
        self,
        directory: Path,
        config: CheckpointConfig,
        limits: Mapping[str, str] | None = None,
        resume: Resume | None = None,
    ) -> None:
        self.directory = directory
        self.config = config
        self.best = BestModels(directory, config.best)
        if resume is not None:
            self.best.restore(resume.state)
        self._last_is_whole = resume is not None and resume.path.name == LAST
        self._limits = dict(limits or {})
        self._stopped = False
        self._position: Position | None = None
        self._means: Any = None
        self._started_at: int | None = None
        self._saved_at: Position | None = None
        self._signals = Signals()

    # When it is saved -------------------------------------------------------------------------------------

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to signals from here on."""
        if trainer.is_global_zero:
            make_directory(self.directory)
            remove_leftovers(self.directory)
            with disk_errors(self.directory):
                self.best.sweep()  # what a process that was killed had not deleted yet
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

    # What is saved ----------------------------------------------------------------------------------------

    def save(self, trainer: Trainer, position: Position) -> None:
        """Write ``last.ckpt``, then drop the models that are no longer among the best; a collective call.

        Raises:
            UserError: It cannot be written, or does not read back; the former one is whole.
        """
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
                    promote(temporary, former_is_whole=self._last_is_whole)
        except BaseException:
            temporary.unlink(missing_ok=True)  # half a checkpoint on a full disk
            raise
        self._last_is_whole = True
        self._saved_at = position
        if trainer.is_global_zero:
            with disk_errors(self.directory):
                self.best.saved(last_of(position))

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put our state in, and leave Lightning's loop counters out: :mod:`espnet3_core.train.position`."""
        if self._position is None:
            return
        checkpoint.pop("loops", None)
        checkpoint[STATE] = {
            "version": VERSION,
            "position": self._position.to_dict(),
            "means": self._means,
            "plan": getattr(cast(Any, trainer).datamodule, "plan", None),
            "world_size": trainer.world_size,
            "stopped": self._limits if self._stopped else None,
            **self.best.state(),
        }

    # The best models --------------------------------------------------------------------------------------

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A monitored value that validation does not produce is found out before training, not after."""
        module: Any = pl_module
        self.best.check(module.latest, "valid/")
        module.latest.clear()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Select by values of the validation."""
        if not trainer.sanity_checking:
            self._select(trainer, pl_module, "valid/", _epochs(trainer))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Select by values of the epoch."""
        self._select(trainer, pl_module, "train/", _epochs(trainer) - 1)

    def _select(self, trainer: Trainer, pl_module: LightningModule, prefix: str, epoch: int) -> None:
        values = cast(Any, pl_module).latest
        self.best.check(values, prefix)
        wanting = self.best.wanting(values, prefix)
        if not wanting:
            return
        weights = self._weights(trainer)
        if trainer.is_global_zero:
            self.best.add(wanting, values, weights, epoch, trainer.global_step)

    def _weights(self, trainer: Trainer) -> dict[str, Tensor]:
        """The weights that were validated: a callback's averaged ones, or the model's own."""
        state = model_state(trainer.strategy.lightning_module_state_dict())
        for callback in cast(Any, trainer).callbacks:
            averaged = getattr(callback, "averaged_weights", None)
            if callable(averaged):
                state.update(averaged())
        return state


def _epochs(trainer: Trainer) -> int:
    """Epochs whose batches are all done."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    return int(progress.processed)
