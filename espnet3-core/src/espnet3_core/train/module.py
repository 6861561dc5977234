"""The LightningModule around a model: forward, loss, weighted means, optimizer."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from espnet3_core.config.roles import TrainingConfig
from espnet3_core.errors import UserError
from espnet3_core.train.accumulators import MeanAccumulator, gather
from espnet3_core.train.finite import FiniteGuard
from espnet3_core.train.memory import MemoryGuard
from espnet3_core.train.outputs import FieldSelector, StepOutput, step_output
from espnet3_core.train.parameters import check_group_options, freeze, parameter_groups

logger = logging.getLogger(__name__)


class TrainingModule(LightningModule):
    """Trains ``model`` as a training configuration says.

    Subclass it for a recipe's own training step and choose it with ``module: {_target_:
    src.lightning_module.MyModule}``: it is made as ``MyModule(**yaml, model=…, training=…)``. Its state dict
    has the names of the model under ``model.``.

    Args:
        model: The network.
        training: The ``training`` role.
    """

    def __init__(self, model: nn.Module, training: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.training_config = training
        self.frozen = freeze(model, training.parameters)
        self.select_fields = FieldSelector(model)
        self.guard = FiniteGuard()
        self.memory = MemoryGuard(self)
        self.epoch_means = MeanAccumulator()
        self.interval_means = MeanAccumulator()
        self.valid_means = MeanAccumulator()
        self.latest: dict[str, float] = {}
        self.batch_padding: tuple[float, float] = (0.0, 0.0)
        self._saved_means: dict[str, list[Any]] | None = None

    def forward(self, batch: Mapping[str, Any]) -> StepOutput:
        """Run the model on a batch."""
        return step_output(self.model(**self.select_fields(batch)), batch)

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Loss of a micro-batch; its scalars are added to the running means."""
        output = self.memory.step(batch)
        finite = self.guard.watch(output.loss, batch, self.trainer)
        self.epoch_means.add(output.stats, output.weight, finite)
        self.interval_means.add(output.stats, output.weight, finite)
        loss: Tensor = output.loss
        return loss

    def backward(self, loss: Tensor, *args: Any, **options: Any) -> None:
        """Gradients of a micro-batch; Lightning calls it after it has cleared those of the last step."""
        self.memory.backward(loss, *args, **options)

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """Add a batch to the validation means."""
        output = self.memory.evaluate(batch)
        self.valid_means.add(output.stats, output.weight)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Leave out a step whose loss was not finite on any rank.

        Raises:
            UserError: Too many in a row.
        """
        self.guard.before_step(self.trainer)

    def on_train_epoch_start(self) -> None:
        """Begin the means of an epoch, or go on with those of the checkpoint."""
        saved, self._saved_means = self._saved_means, None
        if saved is None:
            self.epoch_means.reset()
            return
        self.epoch_means.load(saved["epoch"], self.device)
        self.interval_means.load(saved["interval"], self.device)

    def on_validation_epoch_start(self) -> None:
        """Begin the means of a validation."""
        self.valid_means.reset()

    def on_validation_epoch_end(self) -> None:
        """Publish ``valid/<name>``."""
        self.publish("valid", self.valid_means)

    def publish(self, prefix: str, means: MeanAccumulator) -> None:
        """Make means known to callbacks and schedulers, equal on every rank; a collective call."""
        values = {f"{prefix}/{name}": value for name, value in means.reduced_means().items()}
        self.latest.update(values)
        for name, value in values.items():
            self.log(name, value, logger=False, rank_zero_only=False, batch_size=1)

    def means_state(self) -> dict[str, list[Any]]:
        """Running sums of every rank, for a checkpoint; a collective call."""
        return {"epoch": gather(self.epoch_means.state()), "interval": gather(self.interval_means.state())}

    def load_means(self, state: Mapping[str, list[Any]], rank: int, ranks: int) -> None:
        """Continue from :meth:`means_state`; with another number of ranks, rank 0 takes all sums."""

        def mine(states: list[Any]) -> list[Any]:
            if len(states) == ranks:
                return list(states[rank])
            return [] if rank else _merge(states)

        self._saved_means = {key: mine(states) for key, states in state.items()}

    def configure_optimizers(self) -> Any:
        """The optimizer and, when there is one, the schedule."""
        config = self.training_config
        groups = parameter_groups(self.model, config.parameters)
        optimizer = config.optimizer.build(parameters=groups, params=groups)
        check_group_options(optimizer, config.parameters)
        if getattr(self.trainer.precision_plugin, "scaler", None) is None:
            # Fused optimizers could unscale gradients themselves. Lightning therefore refuses to clip them
            # under mixed precision, also where nothing scales gradients: with bf16, and on the CPU.
            optimizer._step_supports_amp_scaling = False
        if config.scheduler is None:
            return optimizer
        return {"optimizer": optimizer, "lr_scheduler": self._schedule(optimizer)}

    def _schedule(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        component = self.training_config.scheduler
        assert component is not None
        options = dict(component.options)
        # Torch's own schedulers do not say when they want to be stepped: these two keys do.
        chosen = {
            key: options.pop(key) for key in ("interval", "monitor") if component.target and key in options
        }
        steps, per_epoch = planned_steps(self.trainer)
        scheduler = dataclasses.replace(component, options=options).build(
            optimizer=optimizer, total_steps=steps, steps_per_epoch=per_epoch
        )
        plateau = isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau)
        interval = chosen.get("interval") or getattr(scheduler, "interval", "epoch" if plateau else "step")
        if interval not in ("step", "epoch"):
            raise UserError(f"training.scheduler.interval: {interval!r}", hint="'step' or 'epoch'")
        entry: dict[str, Any] = {"scheduler": scheduler, "interval": interval}
        if plateau:
            entry["monitor"] = chosen.get("monitor") or getattr(scheduler, "monitor", "valid/loss")
            entry["frequency"] = self.trainer.check_val_every_n_epoch or 1
        return entry


def planned_steps(trainer: Any) -> tuple[int | float, int | float]:
    """Optimizer steps of the whole training and of an epoch; infinite when there is no end."""
    total = trainer.estimated_stepping_batches
    batches = trainer.num_training_batches
    if math.isinf(batches):
        return (math.inf if total == -1 or math.isinf(total) else int(total)), math.inf
    per_epoch = math.ceil(batches / max(trainer.accumulate_grad_batches, 1))
    return (math.inf if total == -1 or math.isinf(total) else int(total)), per_epoch


def _merge(states: list[Any]) -> list[Any]:
    merged: dict[tuple[str, ...], list[float]] = {}
    for state in states:
        for names, sums in state:
            former = merged.get(tuple(names), [0.0] * len(sums))
            merged[tuple(names)] = [a + b for a, b in zip(former, sums, strict=True)]
    return [(list(names), sums) for names, sums in merged.items()]
