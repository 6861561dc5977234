"""Notices when a process of a training dies or hangs, reports on every one of them, and ends the run."""

from __future__ import annotations

import faulthandler
import os
import select
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.data.loader import Loader
from espnet3_core.errors import EXIT_BUG, Interrupted, UserError
from espnet3_core.files import make_directory
from espnet3_core.recipe import launch
from espnet3_core.recipe.ranks import (
    RankState,
    Trouble,
    end_others,
    find_behind,
    find_lost,
    read_report,
    read_states,
    read_trouble,
    report,
    wait_for,
    write_report,
)

WAITING = "waiting for a batch"
DEFAULT = 1200.0
"""Seconds without progress, with several processes; torch's collectives give up after 1800."""
_LONGEST_PERIOD = 5.0
_GRACE = 5.0
"""Seconds for a rank that has met an error to be followed by the others, when all have met it."""
_PEER = 3.0
"""Seconds that an error waits for another rank to turn out to be its cause."""


class Watchdog(Callback):
    """Keeps what this rank does, in memory; a thread of its own writes it down and reads the others'.

    Args:
        directory: ``ranks`` of the experiment.
        seconds: Without progress on any rank; 0 does not watch, None watches several processes.
    """

    def __init__(self, directory: Path, seconds: float | None) -> None:
        self.directory = directory
        self.seconds = seconds
        self.state = RankState(rank=0)
        self._watch: _Watch | None = None

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
            self._watch = _Watch(self.directory, self.state, seconds, trainer)
            make_directory(self.directory)
            self._watch.start()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """All is well: leave nothing behind."""
        if self._watch is not None:
            self._watch.finish()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """An error of a collective means another rank; any other ends this one, and the others hear of it."""
        if self._watch is None:
            return
        if isinstance(exception, KeyboardInterrupt | Interrupted):
            self._watch.finish()
            return
        if not isinstance(exception, UserError):
            self._watch.blame()
            self._watch.failed(EXIT_BUG, f"{type(exception).__name__}: {exception}")
        else:
            self._watch.failed(exception.exit_code, str(exception))

    # What counts as progress ------------------------------------------------------------------------------

    def _passed(self, trainer: Trainer, doing: str) -> None:
        """A place that all ranks pass alike."""
        state = self.state
        state.turn += 1
        state.signs += 1
        state.epoch, state.step = trainer.current_epoch, trainer.global_step
        state.doing, state.since = doing, time.time()

    def _begun(self, batch: Any, number: int) -> None:
        """Should these utterances kill the process, it has told them."""
        state = self.state
        state.signs += 1
        state.batch, state.ids = number, batch.get("ids", []) if isinstance(batch, Mapping) else []
        if self._watch is not None:
            state.write(self.directory)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self.state.batch = -1
        self._passed(trainer, WAITING)

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
        self._passed(trainer, WAITING)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note it."""
        self._passed(trainer, "saving a checkpoint")

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
        """A sign of life, and no place that all ranks pass: they may have different numbers of batches."""
        self._begun(batch, batch_idx)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "at the end of validation")

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        self._passed(trainer, "after validation")


class _Watch(threading.Thread):
    """Writes this rank's state down and looks at the others'.

    It counts only time in which it could itself run: a run that was suspended as a whole goes on.
    """

    def __init__(self, directory: Path, state: RankState, seconds: float, trainer: Trainer) -> None:
        super().__init__(name="espnet3-watchdog", daemon=True)
        self.directory, self.state, self.seconds = directory, state, seconds
        self.trainer = trainer
        self.period = min(seconds / 10, _LONGEST_PERIOD)
        self._ended = False
        self._one = threading.Lock()
        self._poll = select.poll()
        self._handles: dict[int, int] = {}
        self._signs: dict[int, int] = {}
        self._beats: dict[int, int] = {}
        self._states: dict[int, RankState] = {}
        self._idle = 0.0
        self._silent: dict[int, float] = {}

    def run(self) -> None:
        """Until training ends."""
        before = time.monotonic()
        while True:
            with self._one:
                if self._ended:
                    return
                now = time.monotonic()
                self._look(min(now - before, 2 * self.period))
                before = now
            self._pause()

    def finish(self) -> None:
        """Training has ended well, or was interrupted."""
        with self._one:
            self._ended = True
            with suppress(OSError):  # others are still at work
                (self.directory / f"{self.state.rank}.json").unlink(missing_ok=True)
                self.directory.rmdir()

    def failed(self, code: int, error: str) -> None:
        """This rank ends with an error that it tells itself."""
        with self._one:
            self._ended = True
            self.state.ended, self.state.error = code, error
            self.state.write(self.directory)

    def blame(self) -> None:
        """Does not return when another rank is found to be dead or to have failed."""
        others: dict[int, RankState] = {}

        def lost() -> Trouble | None:
            others.update(read_states(self.directory))
            others.pop(self.state.rank, None)
            return read_trouble(self.directory) or find_lost(self.directory, others)

        with self._one:
            if self.state.ranks > 1:
                wait_for(lambda: lost() is not None, _PEER)
            if (trouble := lost()) is not None:
                self._conclude(trouble)

    def _look(self, passed: float) -> None:
        self.state.beats += 1
        self.state.write(self.directory)
        states = self._states = self._states | read_states(self.directory) | {self.state.rank: self.state}
        signs = {rank: state.signs for rank, state in states.items()}
        self._idle = self._idle + passed if signs == self._signs else 0.0
        self._signs = signs
        for rank, state in states.items():
            silent = self._beats.get(rank) == state.beats
            self._silent[rank] = self._silent.get(rank, 0.0) + passed if silent else 0.0
            self._beats[rank] = state.beats
        if (trouble := read_trouble(self.directory) or self._find(states)) is not None:
            self._conclude(trouble)
        self._follow(states)

    def _find(self, states: Mapping[int, RankState]) -> Trouble | None:
        settled = {
            rank: state
            for rank, state in states.items()
            if rank != self.state.rank and (state.ended is None or self._silent[rank] >= _GRACE)
        }
        if (lost := find_lost(self.directory, settled)) is not None:
            return lost
        if self._idle < self.seconds:
            return None
        silent = [rank for rank, seconds in self._silent.items() if seconds > max(3 * self.period, 1.0)]
        return find_behind(states, silent, self.seconds)

    def _follow(self, states: Mapping[int, RankState]) -> None:
        """Be woken when a process of this machine ends: launchers kill the rest a few seconds later."""
        if not hasattr(os, "pidfd_open"):
            return
        for state in states.values():
            if state.here and state.pid not in self._handles and state is not self.state:
                try:
                    handle = self._handles[state.pid] = os.pidfd_open(state.pid)
                except OSError:
                    continue
                self._poll.register(handle, select.POLLIN)

    def _pause(self) -> None:
        for handle, _ in self._poll.poll(1000 * self.period):
            self._poll.unregister(handle)

    def _conclude(self, trouble: Trouble) -> NoReturn:
        """Leave this rank's stacks; one rank reports, when all have that can; then nobody is left."""
        first = trouble.claim(self.directory)
        trouble = read_trouble(self.directory) or trouble
        if awaited := _awaited(self.trainer):
            self.state.doing, self.state.awaits = WAITING, awaited
        self.state.write(self.directory)
        self._dump()
        others = {r: s for r, s in read_states(self.directory).items() if r != self.state.rank}
        if first:
            able = [r for r, s in others.items() if r not in trouble.silent and s.ended is None]
            wait_for(
                lambda: all(others[r].gone or (self.directory / f"{r}.stack").exists() for r in able),
                2 * self.period + 2,
            )
            text = report(self.directory, trouble)
            if not launch.is_stage_process():  # else the command that waits for this one tells it
                print(f"espnet3: {text}", file=sys.stderr, flush=True)
            write_report(self.directory, text)
        else:
            wait_for(lambda: read_report(self.directory) is not None, 3 * self.period + 5)
        end_others(others)
        os._exit(trouble.code)

    def _dump(self) -> None:
        path = self.directory / f"{self.state.rank}.stack"
        with suppress(OSError):
            with open(path.with_suffix(".tmp"), "w", encoding="utf-8") as stream:
                faulthandler.dump_traceback(stream, all_threads=True)
            os.replace(path.with_suffix(".tmp"), path)


def _awaited(trainer: Trainer) -> list[str]:
    """Ids of the batch that this rank has asked for and does not get."""
    loaders = (trainer.train_dataloader, trainer.val_dataloaders)
    return next((ids for each in loaders if isinstance(each, Loader) and (ids := each.awaited())), [])
