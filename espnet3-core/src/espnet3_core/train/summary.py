"""The banner at the start of training and the line at its end: what will happen, and what bounded it."""

from __future__ import annotations

import logging
import math
import os
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.train.meter import Meter, Shares
from espnet3_core.train.module import planned_steps
from espnet3_core.train.provenance import effective_batch

NOTICEABLE = 0.1
"""Share of the time from which on a wait for data is worth a hint."""


class Banner(Callback):
    """Logs parameters, effective batch, updates, padding and precision, and in the end what took the time.

    Args:
        logger: Where to, on rank 0.
        meter: Knows where the time went.
    """

    def __init__(self, logger: logging.Logger, meter: Meter) -> None:
        self.logger = logger
        self.meter = meter

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        if trainer.is_global_zero:
            for line in banner_lines(trainer, pl_module):
                self.logger.info("%s", line)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say what bounded the training."""
        if trainer.is_global_zero:
            module: Any = pl_module
            batch = module.training_config.batch
            way = "threads" if batch.threads else "workers"
            words = bound_words(self.meter.shares(), getattr(batch, way), _cores(), way)
            self.logger.info("%s", words)


def banner_lines(trainer: Any, module: Any) -> list[str]:
    """The lines of the banner."""
    parameters = list(module.model.parameters())
    total = sum(parameter.numel() for parameter in parameters)
    trained = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    frozen = f", {total - trained:,} of them frozen" if trained < total else ""
    steps, per_epoch = planned_steps(trainer)
    accumulated = trainer.accumulate_grad_batches
    lines = [
        f"model: {type(module.model).__name__}, {total:,} parameters{frozen}",
        f"batch: {batch_words(trainer, module.training_config.batch)}",
        f"updates: {_count(per_epoch)} per epoch, {_count(steps)} in all"
        + (f", each of {accumulated} batches" if accumulated > 1 else ""),
        f"devices: {trainer.world_size} x {trainer.strategy.root_device.type}, precision {trainer.precision}",
    ]
    lines += [_turn_words(turn) for turn in getattr(module, "turns", ())]
    warmups = [getattr(entry.scheduler, "warmup", 0) for entry in trainer.lr_scheduler_configs]
    if any(warmups):
        lines.append(f"warm-up: {max(warmups)} updates")
    return lines


def _turn_words(turn: Any) -> str:
    """A named optimizer: what it trains, and when it steps."""
    config = turn.config
    words = f"optimizer {turn.name}: {type(turn.optimizer).__name__}, "
    words += f"{sum(parameter.numel() for parameter in turn.parameters.values()):,} parameters"
    words += f", steps of {config.accumulate} batches" if config.accumulate > 1 else ""
    return words + (f", in one round of {config.every}" if config.every > 1 else "")


def batch_words(trainer: Any, batch: BatchConfig) -> str:
    """The effective batch of one update, and how full it is."""
    sampler: Any = getattr(trainer.train_dataloader, "batch_sampler", None)
    batch = getattr(sampler, "config", batch)  # with `auto`, the limits that were found
    limits = [f"{batch.seconds:g} s"] if batch.seconds else []
    limits += [f"{batch.size} utterances"] if batch.size else []
    words = f"at most {' and '.join(limits)} ({batch.scope.replace('_', ' ')})" if limits else "by the loader"
    found = effective_batch(trainer)
    if "utterances" not in found:
        return words
    words += f"; {found['utterances']:.1f} utterances"
    words += f", {found['seconds']:.1f} s" if "seconds" in found else ""
    words += " per update on average"
    words += f"; padding {100 * sampler.waste():.1f} %" if "seconds" in found else ""
    return words + (f"; {uneven_words(sampler)}" if trainer.world_size > 1 else "")


def uneven_words(sampler: BatchSampler) -> str:
    """What becomes of the batches that the devices cannot share out evenly."""
    if sampler.config.uneven == "drop" and sampler.config.scope == "per_device":
        return f"uneven batches are dropped: {sampler.left_over()} utterances in this epoch"
    return "uneven batches are split: no utterance is left out or repeated"


def _count(value: float) -> str:
    return "unlimited" if math.isinf(value) else f"{int(value):,}"


def bound_words(shares: Shares, workers: int, cores: int, way: str = "workers") -> str:
    """What took most of the time of a training, and what may be done about waiting for data.

    Args:
        shares: Where the time went.
        workers: ``batch.workers``, or the other option that ``way`` names.
        cores: Processors that this process may use.
        way: How data are loaded: ``workers`` or ``threads``.

    >>> bound_words(Shares(100.0, 61.0, 30.0, 9.0), 0, 2)
    'data-bound: 61 % of the time waiting, 30 % training, 9 % validation; try training.batch.workers=2'
    """
    total = max(shares.total, 1e-9)
    waiting, steps, validation = (part / total for part in shares[1:])
    words = {
        "waiting": f"{100 * waiting:.0f} % of the time waiting",
        "training": f"{100 * steps:.0f} % training",
        "validation": f"{100 * validation:.0f} % validation",
    }
    hints = []
    if waiting >= NOTICEABLE:
        more = min(max(2, 2 * workers), max(cores, 2))
        hints.append(
            f"try training.batch.{way}={more}"
            if more > workers
            else f"more {way} than processors do not help: simplify transforms or store audio as WAV"
        )
    if validation > max(waiting, steps):
        head = "validation-bound"
        hints.append("try training.trainer.check_val_every_n_epoch=2 or a smaller dataset.valid")
    else:
        head = "data-bound" if waiting > steps else "compute-bound"
    return "; ".join([f"{head}: {', '.join(words.values())}", *hints])


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
