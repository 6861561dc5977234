"""Signals as a wish to stop training where nothing is lost."""

from __future__ import annotations

import logging
import signal
import threading
from typing import Any, cast

import torch
from lightning.pytorch import Trainer

logger = logging.getLogger(__name__)


STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]
"""SIGUSR1 is what SLURM sends some time before the end when asked to (``--signal=USR1@120``)."""


class Signals:
    """Signals as a wish to stop at the next good moment; a second SIGINT stops at once."""

    def __init__(self) -> None:
        self.name = "a signal"
        self._asked = False
        self._former: dict[int, Any] = {}
        self._calls = 0

    def listen(self) -> None:
        """Take the signals over, when this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in STOPPING:
            self._former[number] = signal.signal(number, self._ask)

    def ignore(self) -> None:
        """Give them back."""
        for number, handler in self._former.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._former = {}

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True
        self.name = signal.Signals(number).name
        logger.warning("%s: saving at the next optimizer step, then stopping", self.name)

    def agreed(self, trainer: Trainer) -> bool:
        """Whether to stop now; ranks ask each other once in a logging interval, at the same place."""
        if trainer.world_size == 1:
            return self._asked
        self._calls += 1
        if self._calls % max(cast(Any, trainer).log_every_n_steps, 1):
            return False
        flag = torch.tensor(float(self._asked), device=trainer.strategy.root_device)
        torch.distributed.all_reduce(flag, op=torch.distributed.ReduceOp.MAX)
        return bool(flag.item())
