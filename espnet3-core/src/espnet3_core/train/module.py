"""The LightningModule around a model: forward, loss, weighted means, optimizer."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from espnet3_core.component import Component
from espnet3_core.config.roles import TrainingConfig
from espnet3_core.train.accumulators import MeanAccumulator, gather, merged
from espnet3_core.train.finite import FiniteGuard
from espnet3_core.train.memory import MemoryGuard
from espnet3_core.train.outputs import FieldSelector, StepOutput, is_empty, step_output
from espnet3_core.train.parameters import check_group_options, freeze, parameter_groups
from espnet3_core.train.schedules import schedule_entry

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
        self.guard = FiniteGuard(training.max_bad_steps)
        self.memory = MemoryGuard(self)
        self.epoch_means = MeanAccumulator()
        self.interval_means = MeanAccumulator()
        self.valid_means = MeanAccumulator()
        self.latest: dict[str, float] = {}
        self.batch_padding: tuple[float, float] = (0.0, 0.0)
        self._saved_means: dict[str, Any] | None = None

    def forward(self, batch: Mapping[str, Any]) -> StepOutput:
        """Run the model on a batch."""
        return step_output(self.model(**self.select_fields(batch)), batch)

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> Tensor:
        """Loss of a micro-batch; its scalars are added to the running means."""
        self.guard.before_forward(self.model)
        return self.count(self.memory.step(batch), batch, self.guard)

    def count(self, output: StepOutput, batch: Mapping[str, Any], guard: FiniteGuard) -> Tensor:
        """Add a micro-batch to the running means if its loss is finite; the loss to differentiate."""
        loss, weight = output.loss, output.weight
        counts = guard.watch(loss, batch, self.trainer)
        if is_empty(batch):
            counts, loss, weight = torch.zeros_like(counts), loss * 0, 0.0
        self.epoch_means.add(output.stats, output.weight, counts)
        self.interval_means.add(output.stats, output.weight, counts)
        together = self.training_config.batch.scope == "global" and self.trainer.world_size > 1
        return self._share(loss, weight) if together else loss

    def _share(self, loss: Tensor, weight: float | Tensor) -> Tensor:
        """A rank's loss by its weight in a global step, since gradients are averaged over ranks as equals."""
        mine = torch.ones_like(loss, dtype=torch.float32, requires_grad=False) * weight
        total = mine.clone()
        torch.distributed.all_reduce(total)
        factor = mine * self.trainer.world_size / total.clamp_min(1e-9)  # 0 where no rank has an utterance
        self.memory.rescale(factor)
        return loss * factor

    def backward(self, loss: Tensor, *args: Any, **options: Any) -> None:
        """Gradients of a micro-batch; Lightning calls it after it has cleared those of the last step."""
        self.memory.backward(loss, *args, **options)

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """Add a batch to the validation means."""
        output = self.memory.evaluate(batch)
        if not is_empty(batch):
            self.valid_means.add(output.stats, output.weight)

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Leave out a step whose loss was not finite on any rank.

        Raises:
            UserError: Too many in a row.
        """
        self.guard.before_step(self.trainer)

    @property
    def left_out(self) -> bool:
        """Whether the last step was left out, so that no weight has moved."""
        return self.guard.left_out

    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        """Step a schedule; one that counts optimizer steps stays where it is when a step was left out."""
        configs: Any = self.trainer.lr_scheduler_configs
        by_step = any(entry.scheduler is scheduler and entry.interval == "step" for entry in configs)
        if not (by_step and self.left_out):
            super().lr_scheduler_step(scheduler, metric)

    def on_train_epoch_start(self) -> None:
        """Begin the means of an epoch, or go on with those of the checkpoint."""
        saved, self._saved_means = self._saved_means, None
        if saved is None:
            self.epoch_means.reset()
            return
        self.epoch_means.load(saved["epoch"], self.device)
        self.interval_means.load(saved["interval"], self.device)
        self.latest.update(saved["latest"])
        latest = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.latest.items()}
        self.trainer.callback_metrics.update(latest)  # a schedule may wait for a validation that is past

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

    def means_state(self) -> dict[str, Any]:
        """Running sums of every rank and the values published last, for a checkpoint; a collective call."""
        return {
            "epoch": gather(self.epoch_means.state()),
            "interval": gather(self.interval_means.state()),
            "latest": dict(self.latest),
        }

    def load_means(self, state: Mapping[str, Any], rank: int, ranks: int) -> None:
        """Continue from :meth:`means_state`; with another number of ranks, rank 0 takes all sums."""

        def mine(states: list[Any]) -> list[Any]:
            if len(states) == ranks:
                return list(states[rank])
            return [] if rank else merged(states)

        self._saved_means = {
            "epoch": mine(state["epoch"]),
            "interval": mine(state["interval"]),
            "latest": dict(state.get("latest", {})),
        }

    def configure_optimizers(self) -> Any:
        """The optimizer and, when there is one, the schedule."""
        config = self.training_config
        optimizer = self.make_optimizer(config.optimizer, parameter_groups(self.model, config.parameters))
        if config.scheduler is None:
            return optimizer
        steps, per_epoch = planned_steps(self.trainer)
        schedule = schedule_entry(
            config.scheduler,
            optimizer,
            total_steps=steps,
            steps_per_epoch=per_epoch,
            every_epochs=self.trainer.check_val_every_n_epoch or 1,
        )
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def optimizer_facts(self) -> dict[str, float]:
        """Learning rate of each parameter group as it stands for the next step: ``lr``, ``lr/1``, …"""
        return group_rates(
            [group for optimizer in self.trainer.optimizers for group in optimizer.param_groups], "lr"
        )

    def make_optimizer(self, component: Component, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """An optimizer over parameter groups."""
        optimizer: torch.optim.Optimizer = component.build(parameters=groups, params=groups)
        check_group_options(optimizer, self.training_config.parameters)
        if getattr(self.trainer.precision_plugin, "scaler", None) is None:
            # Fused optimizers could unscale gradients themselves. Lightning therefore refuses to clip them
            # under mixed precision, also where nothing scales gradients: with bf16, and on the CPU.
            cast(Any, optimizer)._step_supports_amp_scaling = False
        return optimizer


def group_rates(groups: Sequence[Mapping[str, Any]], name: str) -> dict[str, float]:
    """Learning rates of parameter groups: ``<name>``, ``<name>/1``, …"""
    return {f"{name}/{index}" if index else name: float(group["lr"]) for index, group in enumerate(groups)}


def planned_steps(trainer: Any) -> tuple[int | float, int | float]:
    """Optimizer steps of the whole training and of an epoch; infinite when there is no end."""
    total = trainer.estimated_stepping_batches
    batches = trainer.num_training_batches
    if math.isinf(batches):
        return (math.inf if total == -1 or math.isinf(total) else int(total)), math.inf
    per_epoch = math.ceil(batches / max(trainer.accumulate_grad_batches, 1))
    return (math.inf if total == -1 or math.isinf(total) else int(total)), per_epoch
