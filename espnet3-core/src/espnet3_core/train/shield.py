"""Keeps signals that stop a training away from the processes that load data."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from torch.multiprocessing import _prctl_pr_set_pdeathsig  # type: ignore[attr-defined]

from espnet3_core.train.signals import STOPPING


def shielded(loader: Any) -> Any:
    """Let a loader's workers leave interrupts to the process that trains.

    A terminal and a cluster send them to the whole group: a worker that died of one would take training down
    before it has saved.
    """
    if loader.num_workers:
        loader.worker_init_fn = partial(_start, loader.worker_init_fn)
    return loader


def _start(then: Callable[[int], None] | None, worker: int) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    _prctl_pr_set_pdeathsig(signal.SIGKILL)  # a worker that hangs would outlive a training that was killed
    if then is not None:
        then(worker)
