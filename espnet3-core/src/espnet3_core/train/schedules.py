"""Learning-rate schedules: the optimizer's rate times a closed-form function of the optimizer step."""

from __future__ import annotations

import dataclasses
import logging
import math
import re
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, ReduceLROnPlateau

from espnet3_core.component import Component
from espnet3_core.errors import UserError
from espnet3_core.train.config import (
    OneCycleConfig,
    ReduceOnPlateauConfig,
    WarmupCosineConfig,
    WarmupInverseSqrtConfig,
    WarmupLinearConfig,
)

logger = logging.getLogger(__name__)

Steps = int | float
"""Number of optimizer steps; infinite when training has no end."""


def resolve_steps(value: int | float | str, *, total_steps: Steps, steps_per_epoch: Steps) -> int:
    """Number of optimizer steps that a warm-up lasts.

    Args:
        value: Steps (int), epochs (``"2 epochs"``, ``"0.5 epoch"``) or a fraction of all steps (float
            from 0 to 1).
        total_steps: Optimizer steps of the whole training.
        steps_per_epoch: Optimizer steps of an epoch.

    Raises:
        UserError: The value is none of these, or a fraction of an endless training.
    """
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(epochs?|steps?)\s*", value)
        if match is None:
            raise _bad_warmup(value)
        number = float(match[1])
        if match[2].startswith("step"):
            return int(number)
        return round(number * _finite(steps_per_epoch, value))
    if isinstance(value, bool) or value < 0:
        raise _bad_warmup(value)
    if isinstance(value, int):
        return value
    if value > 1:
        raise _bad_warmup(value)
    return round(value * _finite(total_steps, value))


def schedule_entry(
    component: Component,
    optimizer: Optimizer,
    *,
    total_steps: Steps,
    steps_per_epoch: Steps,
    every_epochs: int,
) -> dict[str, Any]:
    """A schedule as Lightning takes it: with when it steps, and for a plateau what it watches.

    Args:
        component: Node ``scheduler``; torch's own may have ``interval`` and ``monitor`` in it, too.
        optimizer: Whose rate it sets.
        total_steps: Steps of this optimizer in the whole training.
        steps_per_epoch: Its steps in an epoch.
        every_epochs: Epochs between validations.

    Raises:
        UserError: The interval is neither ``step`` nor ``epoch``.
    """
    options = dict(component.options)
    # Torch's own schedulers do not say when they want to be stepped: these two keys do.
    chosen = {key: options.pop(key) for key in ("interval", "monitor") if component.target and key in options}
    scheduler = dataclasses.replace(component, options=options).build(
        optimizer=optimizer, total_steps=total_steps, steps_per_epoch=steps_per_epoch
    )
    plateau = isinstance(scheduler, ReduceLROnPlateau)
    interval = chosen.get("interval") or getattr(scheduler, "interval", "epoch" if plateau else "step")
    if interval not in ("step", "epoch"):
        place = component.path or "training.scheduler"
        raise UserError(f"{place}.interval: {interval!r}", hint="'step' or 'epoch'")
    entry: dict[str, Any] = {"scheduler": scheduler, "interval": interval}
    if plateau:
        entry["monitor"] = chosen.get("monitor") or getattr(scheduler, "monitor", "valid/loss")
        entry["frequency"] = every_epochs
    return entry


def _bad_warmup(value: object) -> UserError:
    return UserError(
        f"training.scheduler.warmup: {value!r} is not a length of warm-up",
        hint='write steps (25000), epochs ("2 epochs") or a fraction of all steps (0.1)',
    )


def _finite(steps: Steps, value: object) -> float:
    if math.isinf(steps):
        raise UserError(
            f"training.scheduler: {value!r} refers to the end of training, which has none",
            hint="set trainer.max_epochs or trainer.max_steps",
        )
    return float(steps)


class Schedule(LambdaLR):
    """A learning rate that is the optimizer's, times ``factor(step)`` with steps counted from 0.

    Its state is the step alone, so that a training continued with a later end follows the new curve.
    """

    interval = "step"

    def __init__(self, optimizer: Optimizer, factor: Callable[[int], float], *, warmup: int = 0) -> None:
        self.warmup = warmup
        super().__init__(optimizer, factor)

    def state_dict(self) -> dict[str, Any]:
        """The step and the rates that the factor scales."""
        return {"last_epoch": self.last_epoch, "base_lrs": list(self.base_lrs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a step.

        The rate of the current step is that of the current curve, which is longer than the saved one
        when training goes on for more epochs than were planned.
        """
        self.last_epoch = state_dict["last_epoch"]
        self.base_lrs = list(state_dict["base_lrs"])
        self._step_count = self.last_epoch + 1
        self._last_lr = [
            base * rule(self.last_epoch) for base, rule in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]
        for group, rate in zip(self.optimizer.param_groups, self._last_lr, strict=True):
            group["lr"] = rate


def warmup_inverse_sqrt(
    config: WarmupInverseSqrtConfig, *, optimizer: Optimizer, total_steps: Steps, steps_per_epoch: Steps
) -> Schedule:
    """Vaswani et al., "Attention is all you need", 2017, equation 3, scaled to reach the optimizer's rate.

    At step n, counted from 1: ``lr * sqrt(w) * min(n ** -0.5, n * w ** -1.5)``.
    """
    warmup = _warmup(config.warmup, total_steps, steps_per_epoch)
    width = max(warmup, 1)

    def factor(step: int) -> float:
        return float(width**0.5 * min((step + 1) ** -0.5, (step + 1) * width**-1.5))

    return Schedule(optimizer, factor, warmup=warmup)


def warmup_linear(
    config: WarmupLinearConfig, *, optimizer: Optimizer, total_steps: Steps, steps_per_epoch: Steps
) -> Schedule:
    """Warm-up to the optimizer's rate, then linear to ``final`` of it at the end of training."""
    return _warm_then(
        config, optimizer, total_steps, steps_per_epoch, lambda x: config.final + (1 - config.final) * (1 - x)
    )


def warmup_cosine(
    config: WarmupCosineConfig, *, optimizer: Optimizer, total_steps: Steps, steps_per_epoch: Steps
) -> Schedule:
    """Warm-up, then a half cosine (Loshchilov and Hutter, "SGDR", 2017, equation 5, without restarts)."""
    return _warm_then(
        config,
        optimizer,
        total_steps,
        steps_per_epoch,
        lambda x: config.final + (1 - config.final) * 0.5 * (1 + math.cos(math.pi * x)),
    )


def one_cycle(
    config: OneCycleConfig, *, optimizer: Optimizer, total_steps: Steps, steps_per_epoch: Steps
) -> Schedule:
    """One cycle (Smith and Topin, "Super-convergence", 2018), annealed along cosines, momentum constant."""
    total = _finite(total_steps, "core/one_cycle")
    warmup = _warmup(config.warmup, total_steps, steps_per_epoch)

    def between(start: float, end: float, x: float) -> float:
        return end + (start - end) / 2 * (1 + math.cos(math.pi * min(x, 1.0)))

    def factor(step: int) -> float:
        peak = max(warmup - 1, 0)
        if step < peak:
            return between(config.start, 1.0, step / peak)
        return between(1.0, config.final, (step - peak) / max(total - 1 - peak, 1))

    return Schedule(optimizer, factor, warmup=warmup)


class ReduceOnPlateau(ReduceLROnPlateau):
    """Lower the rate when ``monitor`` has not improved for ``patience`` validations."""

    interval = "epoch"

    def __init__(self, config: ReduceOnPlateauConfig, *, optimizer: Optimizer) -> None:
        self.monitor = config.monitor
        super().__init__(
            optimizer,
            mode=config.mode,
            factor=config.factor,
            patience=config.patience,
            threshold=config.threshold,
            min_lr=config.min_lr,
        )


def _warm_then(
    config: WarmupLinearConfig | WarmupCosineConfig,
    optimizer: Optimizer,
    total_steps: Steps,
    steps_per_epoch: Steps,
    decay: Callable[[float], float],
) -> Schedule:
    total = _finite(total_steps, "the decay")
    warmup = _warmup(config.warmup, total_steps, steps_per_epoch)

    def factor(step: int) -> float:
        # The first step has a rate above zero, and the peak falls on step `warmup`.
        if step < warmup:
            return (step + 1) / (warmup + 1)
        return decay(min((step - warmup) / max(total - warmup, 1), 1.0))

    return Schedule(optimizer, factor, warmup=warmup)


def _warmup(value: int | float | str, total_steps: Steps, steps_per_epoch: Steps) -> int:
    warmup = resolve_steps(value, total_steps=total_steps, steps_per_epoch=steps_per_epoch)
    if warmup > total_steps:
        logger.warning(
            "training.scheduler.warmup: the warm-up lasts %d steps and training %d: "
            "the learning rate never reaches the optimizer's",
            warmup,
            total_steps,
        )
    return warmup
