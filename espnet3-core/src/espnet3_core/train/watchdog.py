"""Notices when a process of a training dies or hangs, reports on every one of them, and ends the run."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import shutil
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.data.loader import Loader
from espnet3_core.errors import EXIT_BUG, Interrupted, UserError
from espnet3_core.files import make_directory
from espnet3_core.recipe.ranks import (
    RankState,
    Trouble,
    aftermath,
    end_others,
    find_behind,
    find_lost,
    is_told,
    read_states,
    read_trouble,
    shown,
    stack_file,
    state_file,
    tell,
    wait_for,
)

DEFAULT = 1200.0
"""Seconds without progress, with several processes; torch's collectives give up after 1800."""
_PATIENCE = 10
"""How many times as long the first batch and the writing of models may take."""
_LONGEST_PERIOD = 5.0
_GRACE = 5.0
"""Seconds for a rank that has met an error to be followed by the others, when all meet it."""
_PEER = 3.0
"""Seconds that an error waits for another rank to turn out to be its cause."""
_WAITING = "waiting for a batch"


class Watchdog(Callback):
    """Keeps what this rank does; a thread of its own looks at the other ranks.

    Args:
        directory: ``ranks`` of the experiment.
        log: Of the stage; the report is added to it.
        seconds: Without progress on any rank; 0 does not watch, None watches several processes.
    """

    def __init__(self, directory: Path, log: Path, seconds: float | None) -> None:
        self.directory = directory
        self.stage_log = log  # `log` is what Lightning sets in every callback
        self.seconds = seconds
        self.state = RankState(rank=0)
        self._watch: Watch | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take away what an earlier run has left; ranks wait for each other after this."""
        if trainer.is_global_zero:
            shutil.rmtree(self.directory, ignore_errors=True)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to watch."""
        default = DEFAULT if trainer.world_size > 1 else 0.0
        seconds = default if self.seconds is None else self.seconds
        self.state = RankState(rank=trainer.global_rank, ranks=trainer.world_size)
        if seconds > 0:
            make_directory(self.directory)
            self._watch = Watch(self.directory, self.stage_log, self.state, seconds, trainer)
            self._watch.start()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All is well: leave nothing behind."""
        if self._watch is not None:
            self._watch.finish()
            self._watch = None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """An error of a collective means another rank; any other ends this one, and the others hear of it."""
        if (
            self._watch is None
        ):  # it is unwatched, or the parent of forked ranks, to whose errors none listens
            aftermath(self.directory, self.stage_log, told=False)
        elif isinstance(exception, KeyboardInterrupt | Interrupted):
            self.on_fit_end(trainer, pl_module)
        elif isinstance(exception, UserError):
            self._watch.failed(exception.exit_code, str(exception))
        else:
            self._watch.blame(exception)
            self._watch.failed(EXIT_BUG, f"{type(exception).__name__}: {exception}")

    # What counts as progress ------------------------------------------------------------------------------

    def _passed(self, trainer: Trainer, doing: str, *, writing: bool = False) -> None:
        """A place that all ranks pass alike."""
        state = self.state
        state.turn += 1
        state.epoch, state.step = trainer.current_epoch, trainer.global_step
        state.doing, state.since, state.writing = doing, time.time(), writing

    def _begun(self, batch: Any, number: int) -> None:
        """Written at once: should these utterances kill the process, it has told them."""
        state = self.state
        state.batch, state.since = number, time.time()
        state.ids = shown(batch.get("ids", ())) if isinstance(batch, Mapping) else []
        if self._watch is not None:
            self._watch.write()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self.state.batch = -1
        self._passed(trainer, _WAITING)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note it, and the ids."""
        self._passed(trainer, "in the forward pass")
        self._begun(batch, batch_idx)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Any) -> None:
        """Note it."""
        self._passed(trainer, "in the backward pass or the optimizer step")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note it."""
        self.state.warm = True
        self._passed(trainer, _WAITING)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "at the end of an epoch", writing=True)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note it."""
        self._passed(trainer, "saving a checkpoint", writing=True)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "in validation")

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Progress, and no place that all ranks pass: they may have different numbers of batches."""
        self._begun(batch, batch_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "at the end of validation")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "after validation", writing=True)


class Watch(threading.Thread):
    """Writes this rank's state down and looks at the others'.

    It counts only time in which it could itself run: a run that was suspended as a whole goes on.
    """

    def __init__(
        self, directory: Path, log: Path, state: RankState, seconds: float, trainer: Trainer
    ) -> None:
        super().__init__(name="espnet3-watchdog", daemon=True)
        self.directory, self.stage_log = directory, log
        self.state, self.seconds, self.trainer = state, seconds, trainer
        self.period = min(seconds / 10, _LONGEST_PERIOD)
        self._handle = os.open(state_file(directory, state.rank), os.O_WRONLY | os.O_CREAT, 0o644)
        self._one = threading.Lock()
        self._ended = False
        self._states: dict[int, RankState] = {}
        self._progress: dict[int, float] = {}
        self._idle = 0.0
        self._silent: dict[int, float] = {}
        self.write()

    def write(self) -> None:
        """Put this rank's state into its file, and leave it to the system when it gets to the disk."""
        self.state.write(self._handle)

    def run(self) -> None:
        """Until training ends."""
        before = time.monotonic()
        while True:
            with self._one:
                if self._ended:
                    return
                now = time.monotonic()
                self.look(min(now - before, 2 * self.period))
                before = now
            # Soon after a process of this machine has ended: launchers kill the others some seconds later.
            wait_for(lambda: any(state.gone for state in self._states.values()), self.period)

    def finish(self) -> None:
        """Training has ended well, or was interrupted."""
        with self._one:
            self._ended = True
            os.close(self._handle)
            with suppress(OSError):  # others are still at work
                state_file(self.directory, self.state.rank).unlink(missing_ok=True)
                self.directory.rmdir()

    def failed(self, code: int, error: str) -> None:
        """This rank ends with an error that it tells itself."""
        with self._one:
            self._ended = True
            self.state.ended, self.state.error = code, error[:2000]
            self.write()

    def blame(self, error: BaseException) -> None:
        """Does not return when another rank is found to be dead or to have failed."""

        def lost() -> Trouble | None:
            return read_trouble(self.directory) or find_lost(self.directory, self._others())

        with self._one:
            if self.state.ranks > 1:
                wait_for(lambda: lost() is not None, _PEER)
            if (trouble := lost()) is not None:
                self._conclude(trouble, error)

    def look(self, passed: float) -> None:
        """Does not return when a rank is lost, or no rank makes progress.

        Args:
            passed: Seconds since the last look.
        """
        self._beat()
        others = self._others()
        for rank, state in others.items():
            known = self._states.get(rank)
            moved = known is None or known.beats != state.beats
            self._silent[rank] = 0.0 if moved else self._silent[rank] + passed
        self._states = others
        states = {**others, self.state.rank: self.state}
        progress = {rank: state.since for rank, state in states.items()}
        self._idle = self._idle + passed if progress == self._progress else 0.0
        self._progress = progress
        if (trouble := read_trouble(self.directory) or self._find(states)) is not None:
            self._conclude(trouble)

    def _beat(self) -> None:
        self.state.beats += 1
        if any(loader.asking for loader in self._loaders()):
            self.state.doing, self.state.writing = _WAITING, False
        with suppress(OSError), state_file(self.directory, self.state.rank).open("r+b") as stream:
            self.state.write(stream.fileno())  # closed, so that other machines see it

    def _others(self) -> dict[int, RankState]:
        """The others' states; of one that is being written at this moment the former."""
        found = self._states | read_states(self.directory)
        return {
            rank: state
            for rank, state in found.items()
            if rank != self.state.rank and state_file(self.directory, rank).exists()
        }

    def _find(self, states: Mapping[int, RankState]) -> Trouble | None:
        settled = {
            rank: state
            for rank, state in states.items()
            if state is not self.state and (state.ended is None or state.gone or self._silent[rank] >= _GRACE)
        }
        if (lost := find_lost(self.directory, settled)) is not None:
            return lost
        limit = self.seconds * (_PATIENCE if any(state.slow for state in states.values()) else 1)
        if self._idle < limit:
            return None
        silent = [rank for rank, seconds in self._silent.items() if seconds > max(3 * self.period, 1.0)]
        return find_behind(states, silent, limit)

    def _conclude(self, trouble: Trouble, error: BaseException | None = None) -> NoReturn:
        """Leave this rank's stacks; one rank reports, when all have that can; then nobody is left."""
        first = trouble.claim(self.directory)
        trouble = read_trouble(self.directory) or trouble
        self.state.awaits = shown(next((loader.awaited() for loader in self._loaders() if loader.asking), []))
        self._beat()
        self._dump(error)
        for worker in multiprocessing.active_children():
            worker.kill()
        others = self._others()
        if first:
            stacks = {rank: stack_file(self.directory, rank) for rank in others}
            wait_for(
                lambda: all(state.gone or stacks[rank].exists() for rank, state in others.items()),
                2 * self.period + 2,
            )
            tell(self.directory, trouble, self.stage_log)
        else:
            wait_for(lambda: is_told(self.directory), 3 * self.period + 5)
        end_others(others)
        os._exit(trouble.code)

    def _dump(self, error: BaseException | None) -> None:
        """Stacks of all threads; last that of the main thread, or where it met an error."""
        path = stack_file(self.directory, self.state.rank)
        with suppress(OSError):
            with open(path.with_suffix(".tmp"), "w", encoding="utf-8") as stream:
                faulthandler.dump_traceback(stream, all_threads=True)
                if error is not None:
                    stream.write(f"\n{type(error).__name__} (most recent call first):\n")
                    for frame in reversed(traceback.extract_tb(error.__traceback__)):
                        stream.write(f'  File "{frame.filename}", line {frame.lineno} in {frame.name}\n')
            os.replace(path.with_suffix(".tmp"), path)

    def _loaders(self) -> list[Loader]:
        """Those that this training reads from."""
        found = (self.trainer.train_dataloader, self.trainer.val_dataloaders)
        return [loader for loader in found if isinstance(loader, Loader)]
