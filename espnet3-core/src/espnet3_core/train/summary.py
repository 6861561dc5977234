"""The banner at the start of training: what is about to happen, in figures."""

from __future__ import annotations

import logging
import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.train.module import planned_steps


class Banner(Callback):
    """Logs parameters, effective batch, updates per epoch, padding and precision on rank 0.

    Args:
        logger: Where to.
    """

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log it."""
        if trainer.is_global_zero:
            for line in banner_lines(trainer, pl_module):
                self.logger.info("%s", line)


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
    warmups = [getattr(entry.scheduler, "warmup", 0) for entry in trainer.lr_scheduler_configs]
    if any(warmups):
        lines.append(f"warm-up: {max(warmups)} updates")
    return lines


def batch_words(trainer: Any, batch: BatchConfig) -> str:
    """The effective batch of one update, and how full it is."""
    limits = [f"{batch.seconds:g} s"] if batch.seconds else []
    limits += [f"{batch.size} utterances"] if batch.size else []
    words = f"at most {' and '.join(limits)} ({batch.scope.replace('_', ' ')})" if limits else "by the loader"
    sampler: Any = getattr(trainer.train_dataloader, "batch_sampler", None)
    if not hasattr(sampler, "waste"):
        return words
    per_update = (
        trainer.world_size * trainer.accumulate_grad_batches / max(len(sampler) * trainer.world_size, 1)
    )
    held = sampler.held()
    words += f"; {len(held) * per_update:.1f} utterances"
    if sampler.known:
        words += f", {float(sampler.lengths[held].sum()) * per_update:.1f} s"
    words += " per update on average"
    words += f"; padding {100 * sampler.waste():.1f} %" if sampler.known else ""
    return words + (f"; {uneven_words(sampler)}" if trainer.world_size > 1 else "")


def uneven_words(sampler: BatchSampler) -> str:
    """What becomes of the batches that the devices cannot share out evenly."""
    if sampler.config.uneven == "drop" and sampler.config.scope == "per_device":
        return f"uneven batches are dropped: {sampler.left_over()} utterances in this epoch"
    return "uneven batches are split: no utterance is left out or repeated"


def _count(value: float) -> str:
    return "unlimited" if math.isinf(value) else f"{int(value):,}"
