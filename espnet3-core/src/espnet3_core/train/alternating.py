"""The LightningModule for named optimizers, which take turns in every batch."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor, nn

from espnet3_core.config.roles import TrainingConfig
from espnet3_core.errors import UserError
from espnet3_core.train.finite import FiniteGuard
from espnet3_core.train.memory import Pass
from espnet3_core.train.module import TrainingModule, group_rates, planned_steps
from espnet3_core.train.outputs import StepOutput, is_empty
from espnet3_core.train.parameters import parameter_groups, share_out
from espnet3_core.train.schedules import schedule_entry
from espnet3_core.train.turns import Turn, average_gradients, round_length, steps_in


class AlternatingModule(TrainingModule):
    """Trains ``model`` with several optimizers, such as those of a generator and of a discriminator.

    In each batch every optimizer has a turn, in the order of ``training.optimizers``. For it the model is
    called as ``model(**fields, turn=<name>, shared=<dict>)`` and returns what that optimizer minimises, in
    any of the usual forms. The dict is the same for all turns of a batch and forgotten after it: what one
    turn puts there (the generator's output), the next need not compute again. ``forward`` has to name
    ``turn``, and ``shared`` only when it uses it::

        def forward(self, speech, *, turn, shared):
            if "fake" not in shared:
                shared["fake"] = self.generator(speech)
            if turn == "discriminator":
                return {"loss": self.tell_apart(speech, shared["fake"].detach())}
            return {"loss": self.deceive(shared["fake"])}

    The gradients of a turn go to the parameters of its optimizer and nowhere else, whatever the loss
    reaches; a missing ``detach`` costs nothing but memory. No ``requires_grad`` is changed for that, so the
    generator's graph may be reused when the discriminator comes first. An earlier turn may have stepped:
    what depends on its parameters is of old weights if it comes out of ``shared``, and for gradients through
    them it has to be computed anew.

    A *round* is the smallest number of batches in which each optimizer finishes its accumulation (the least
    common multiple; fewer at the end of an epoch). One round is one global step: ``max_steps``,
    ``checkpoint.every_steps``, logging intervals and averaging count rounds, and checkpoints fall between
    them. Each schedule counts the steps of its own optimizer. Values are logged as ``<name>/<value>``.

    A batch that does not fit into the memory in some turn goes through that turn in parts, as with a single
    optimizer. The parts share nothing with other turns: each computes anew what it needs.

    Subclass it as :class:`~espnet3_core.train.module.TrainingModule`.

    Args:
        model: The network.
        training: The ``training`` role.

    Raises:
        UserError: ``forward`` does not take ``turn``, or a parameter is not trained by exactly one optimizer.
    """

    def __init__(self, model: nn.Module, training: TrainingConfig) -> None:
        super().__init__(model, training)
        self.automatic_optimization = False
        if not self.select_fields.takes("turn"):
            raise UserError(
                "training.optimizers: the model's forward does not take `turn`, so it cannot tell whose loss "
                "is wanted",
                hint="add a keyword `turn` to forward: the name of the optimizer whose loss to return",
            )
        named = training.optimizers
        shares = share_out(model, {name: config.parameters for name, config in named.items()})
        self.turns = [
            Turn(name, config, shares[name], FiniteGuard(training.max_bad_steps, f"the loss of {name}"))
            for name, config in named.items()
        ]

    def setup(self, stage: str) -> None:
        """Tell Lightning the length of a round.

        Raises:
            UserError: The strategy or the precision is one that several optimizers do not work with.
        """
        strategy = self.trainer.strategy
        if not isinstance(strategy, (SingleDeviceStrategy, DDPStrategy)):
            raise UserError(
                f"training.trainer.strategy: {type(strategy).__name__} does not fit training.optimizers",
                hint="use one device, or strategy: ddp",
            )
        if getattr(self.trainer.precision_plugin, "scaler", None) is not None:
            raise UserError(
                "training.trainer.precision: 16-mixed does not work with training.optimizers, "
                "whose gradients would be scaled alike",
                hint="use bf16-mixed",
            )
        # Not through the trainer's argument, which Lightning refuses here. From it follow, as for a single
        # optimizer, the number of steps, where checkpoints fall, and when an interval is logged.
        self.trainer.accumulate_grad_batches = round_length(self.turns)

    def configure_optimizers(self) -> Any:
        """The optimizers in the order of their turns, with their schedules."""
        config, length = self.training_config, self.trainer.accumulate_grad_batches
        self.trainer.fit_loop.setup_data()  # without it a training by steps does not know its epochs yet
        rounds, per_epoch = planned_steps(self.trainer)
        entries = []
        for turn in self.turns:
            groups = parameter_groups(self.model, config.parameters, turn.parameters)
            turn.optimizer = self.make_optimizer(turn.config.optimizer, groups)
            entry: dict[str, Any] = {"optimizer": turn.optimizer}
            if turn.config.scheduler is not None:
                common: dict[str, Any] = {
                    "config": turn.config,
                    "length": length,
                    "batches": self.trainer.num_training_batches,
                    "rounds_per_epoch": per_epoch,
                }
                epochs = turn.config.every  # after so many its steps repeat
                turn.schedule = schedule_entry(
                    turn.config.scheduler,
                    turn.optimizer,
                    total_steps=steps_in(rounds, **common),
                    steps_per_epoch=steps_in(epochs * per_epoch, **common) / epochs,
                    every_epochs=self.trainer.check_val_every_n_epoch or 1,
                )
                entry["lr_scheduler"] = {key: turn.schedule[key] for key in ("scheduler", "interval")}
            entries.append(entry)
        return entries

    def training_step(self, batch: Mapping[str, Any], batch_idx: int) -> dict[str, Tensor]:  # type: ignore[override]
        """Give each optimizer its turn; the loss of each by its name."""
        loop = self.trainer.fit_loop.epoch_loop
        last = loop._num_ready_batches_reached()
        shared: dict[str, Any] = {}
        losses = {}
        for turn in self.turns:
            if not turn.takes_part(self.trainer.global_step):
                continue
            turn.guard.before_forward(self.model)
            with self._without_reduction():
                output = self.memory.step(batch, self._pass(turn, batch, shared))
            loss = self.count(output, batch, turn.guard)
            losses[turn.name] = loss.detach()
            # As with a single optimizer, what follows the forward pass runs in the parameters' own precision.
            with torch.autocast(self.device.type, enabled=False):
                self._learn(turn, loss, step=turn.steps_after(batch_idx + 1, last=last))
        if not loop._should_accumulate():
            rounds = loop.manual_optimization.optim_step_progress
            rounds.increment_ready()
            rounds.increment_completed()
        if last:
            for turn in self.turns:
                turn.update_rate("epoch")
        return losses

    def validation_step(self, batch: Mapping[str, Any], batch_idx: int) -> None:
        """Add the values of every turn to the validation means."""
        shared: dict[str, Any] = {}
        for turn in self.turns:
            output = self.memory.evaluate(batch, self._pass(turn, batch, shared))
            if not is_empty(batch):
                self.valid_means.add(output.stats, output.weight)

    def _pass(self, turn: Turn, batch: Mapping[str, Any], shared: dict[str, Any]) -> Pass:
        """A turn of a batch, for all of it or for parts."""

        def forward(part: Mapping[str, Any]) -> StepOutput:
            whole = part is batch
            if not whole:
                shared.clear()  # it is of the whole, for which there is no room
            output: StepOutput = self({**part, "turn": turn.name, "shared": shared if whole else {}})
            named = {f"{turn.name}/{name}": value for name, value in output.stats.items()}
            return output._replace(stats=named)

        return Pass(forward, list(turn.parameters.values()), turn.config.accumulate)

    def _learn(self, turn: Turn, loss: Tensor, *, step: bool) -> None:
        if not loss.requires_grad:
            raise self._unreached(turn)
        with self._without_reduction():
            self.manual_backward(loss / turn.config.accumulate, inputs=list(turn.parameters.values()))
        if not step:
            return
        average_gradients(list(turn.parameters.values()), self.trainer.world_size)
        if all(parameter.grad is None for parameter in turn.parameters.values()):
            raise self._unreached(turn)
        self.trainer.strategy.optimizer_step(turn.optimizer, lambda: None)
        turn.optimizer.zero_grad()
        turn.updates += 1
        if not turn.guard.left_out:
            turn.update_rate("step")

    def on_before_optimizer_step(self, optimizer: Any) -> None:
        """Leave the step out if a loss that it comes from was not finite on any rank; clip the gradients.

        Raises:
            UserError: Too many in a row.
        """
        (turn,) = [turn for turn in self.turns if turn.optimizer is optimizer]
        turn.guard.before_step(self.trainer, turn.parameters.values())
        turn.clip()

    def _without_reduction(self) -> AbstractContextManager[Any]:
        """DDP expects gradients of all parameters in each backward pass: here ranks meet once per step."""
        wrapped: Any = self.trainer.strategy.model
        return wrapped.no_sync() if hasattr(wrapped, "no_sync") else nullcontext()

    @staticmethod
    def _unreached(turn: Turn) -> UserError:
        return UserError(
            f"training.optimizers.{turn.name}: the loss that the model returns for turn {turn.name!r} "
            "depends on none of its parameters",
            hint="does forward return the loss of another turn, or detach too much?",
        )

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Let DDP copy the buffers (running statistics) of rank 0, which it leaves out after ``no_sync``."""
        wrapped: Any = self.trainer.strategy.model
        if hasattr(wrapped, "require_forward_param_sync"):
            wrapped.require_forward_param_sync = True

    def on_train_epoch_end(self) -> None:
        """Step the schedules that watch a value."""
        if not self.trainer.fit_loop.epoch_loop._num_ready_batches_reached():
            return  # stopped inside the epoch, which a longer training goes on with
        epoch = self.trainer.current_epoch + 1
        for turn in self.turns:
            if turn.schedule is not None and epoch % turn.schedule.get("frequency", 1) == 0:
                turn.update_rate("epoch", self.latest)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The optimizers in their order, with the steps that each has made."""
        checkpoint["turns"] = {turn.name: turn.updates for turn in self.turns}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue from :meth:`on_save_checkpoint`.

        Raises:
            UserError: It is of other optimizers, or they took their turns in another order.
        """
        saved, names = checkpoint.get("turns", {}), [turn.name for turn in self.turns]
        if list(saved) != names:
            raise UserError(
                f"training.optimizers: {', '.join(names)}; the checkpoint was trained with "
                f"{', '.join(saved) or 'a single optimizer'}",
                hint="restore the former optimizers and their order, or choose another --tag",
            )
        for turn in self.turns:
            turn.updates = saved[turn.name]

    @property
    def left_out(self) -> bool:
        """Whether the last step of every turn was left out, so that no weight has moved."""
        return all(turn.guard.left_out for turn in self.turns)

    def optimizer_facts(self) -> dict[str, float]:
        """Learning rates as ``lr/<name>``, and the steps that each has made as ``updates/<name>``."""
        facts: dict[str, float] = {}
        for turn in self.turns:
            facts.update(group_rates(turn.optimizer.param_groups, f"lr/{turn.name}"))
        return {**facts, **{f"updates/{turn.name}": turn.updates for turn in self.turns}}
