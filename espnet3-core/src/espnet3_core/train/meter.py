"""Where the time of a training goes: waiting for data, training steps, validation."""

from __future__ import annotations

import time
from typing import Any, NamedTuple


class Shares(NamedTuple):
    """How the time since training began was spent, in seconds.

    Attributes:
        total: All of it; what the other three leave is checkpoints, callbacks and the ends of epochs.
        waiting: For data, while the device had nothing to do.
        steps: In forward and backward passes and optimizer steps.
        validation: In validation, its data included.
    """

    total: float
    waiting: float
    steps: float
    validation: float


class Meter:
    """Measures by the wall clock; on CUDA, where steps outlast the calls that start them, by the device's.

    The wait is the time that the loader took to hand over a batch (``loader.waited``); with a loader that
    does not measure itself, the time from one batch's end to the next one's beginning. On CUDA it counts only
    as far as the device was idle.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._waiting = self._steps = self._validation = 0.0
        self._gaps: list[tuple[float, Any, Any]] = []
        self._end: Any = None
        self.restart(0, None)

    def restart(self, step: int, loader: Any) -> None:
        """Begin an interval at optimizer step ``step``, with batches from ``loader``."""
        now = time.monotonic()
        self._began = now if self._began is None and loader is not None else self._began
        self._settle()
        self._loader, self._loaded = loader, getattr(loader, "waited", None)
        self._interval = self._ended = self._arrived = now
        self._interval_waiting = self._waiting
        self._first_step = step
        self._utterances, self._filled, self._whole = 0, 0.0, 0.0

    def arrived(self) -> None:
        """A batch is here."""
        self._arrived = time.monotonic()
        waited = self._arrived - self._ended
        if self._loaded is not None:
            waited, self._loaded = self._loader.waited - self._loaded, self._loader.waited
        if self._end is None:
            self._waiting += waited
        else:
            self._gaps.append((waited, self._end, _event()))

    def count(self, utterances: int, padding: tuple[float, float], cuda: bool = False) -> None:
        """A batch has been trained on."""
        self._ended = time.monotonic()
        self._steps += self._ended - self._arrived
        self._end = _event() if cuda else None
        self._utterances += utterances
        self._filled += padding[0]
        self._whole += padding[1]

    def validated(self) -> None:
        """What passed since the last batch was a validation: neither training nor waiting for data."""
        if self._began is None:  # the check before training
            return
        now = time.monotonic()
        self._validation += now - self._ended
        self._interval += now - self._ended
        self._ended, self._end = now, None

    def read(self, step: int) -> dict[str, float]:
        """Figures of the interval that ends with optimizer step ``step``; the next one begins."""
        self._settle()
        seconds = max(time.monotonic() - self._interval, 1e-9)
        found = {
            "utterances_per_second": round(self._utterances / seconds, 3),
            "step_time": round(seconds / max(step - self._first_step, 1), 4),
            "data_wait": round(min((self._waiting - self._interval_waiting) / seconds, 1.0), 4),
        }
        if self._whole:
            found["padding"] = round(1 - self._filled / self._whole, 4)
        self.restart(step, self._loader)
        return found

    def shares(self) -> Shares:
        """Of the whole training until now."""
        self._settle()
        total = 0.0 if self._began is None else time.monotonic() - self._began
        return Shares(total, self._waiting, self._steps, self._validation)

    def _settle(self) -> None:
        """Read the device's clock for the gaps between steps."""
        gaps, self._gaps = self._gaps, []
        for waited, end, start in gaps:
            start.synchronize()
            self._waiting += min(waited, end.elapsed_time(start) / 1000)


def _event() -> Any:
    """A moment on the device's clock."""
    import torch

    event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
    event.record()
    return event
