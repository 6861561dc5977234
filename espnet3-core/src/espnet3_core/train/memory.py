"""Batches that are too large for the memory: they go through the model in parts, and count as one batch.

With several processes (DDP) a rank that must split does so alone. Its parts but the last are differentiated
inside its training step, where DDP does not listen yet; their gradients are added to those of the last part
before DDP reduces them. So each rank takes part in one reduction per micro-batch, split or not. When memory
runs out inside that reduction, or with strategies that talk in each forward pass (FSDP), nothing can be
repeated by one rank alone, and training stops with a message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn

from espnet3_core.errors import UserError
from espnet3_core.memory import free_memory, is_out_of_memory
from espnet3_core.train.outputs import StepOutput, batch_size

logger = logging.getLogger(__name__)
Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Pass:
    """What a batch goes through, and where the gradients of its loss go.

    Attributes:
        forward: Outcome of the batch, or of a part of it.
        parameters: Those that get gradients; None for all of the module's.
        accumulate: Micro-batches of a step, by whose number each loss is divided; None for the trainer's.
    """

    forward: Callable[[Batch], StepOutput]
    parameters: Sequence[nn.Parameter] | None = None
    accumulate: int | None = None


class MemoryGuard:
    """Runs micro-batches of a training module, in parts where the whole does not fit.

    The loss of a batch is the mean of its parts' losses by the ``weight`` that the model returns, and so are
    the scalars: with a loss that is such a mean, the gradient is that of the whole batch.

    Args:
        module: A :class:`espnet3_core.train.module.TrainingModule`.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.split = 0
        self._pass = Pass(module)
        self._batch: Batch | None = None
        self._extra: list[Tensor | None] | None = None

    def step(self, batch: Batch, run: Pass | None = None) -> StepOutput:
        """Loss of a micro-batch, with a graph for :meth:`backward`.

        Args:
            batch: The micro-batch.
            run: What it goes through; None for the module.

        Raises:
            UserError: It cannot be split, or one utterance alone is too long.
        """
        self._pass = run or Pass(self.module)
        self._batch, self._extra = batch, None
        if (whole := self._whole_or_none(batch)) is not None:
            return whole
        strategy = self.module.trainer.strategy
        if self._ranks() > 1 and (not isinstance(strategy, DDPStrategy) or strategy._layer_sync is not None):
            raise _cannot(
                batch, "and one rank cannot split its batch alone with this strategy or with sync_batchnorm"
            )
        parameters = self._parameters()
        former = [parameter.grad for parameter in parameters]
        output = self._in_parts(batch, keep_last=True)
        self._extra = [parameter.grad for parameter in parameters]
        for parameter, gradient in zip(parameters, former, strict=True):
            parameter.grad = gradient
        return output

    def rescale(self, factor: Tensor) -> None:
        """Multiply what a batch in parts has left of gradients, as its loss is multiplied."""
        if self._extra is not None:
            self._extra = [None if gradient is None else gradient * factor for gradient in self._extra]

    def backward(self, loss: Tensor, *args: Any, **options: Any) -> None:
        """Gradients of a micro-batch whose loss :meth:`step` gave.

        Raises:
            UserError: Memory runs out, and gradients of earlier micro-batches or other ranks are at stake.
        """
        batch, extra = self._batch, self._extra
        self._batch = self._extra = None
        alone = self._ranks() == 1 and not self._accumulating()
        if extra is not None:
            for parameter, gradient in zip(self._parameters(), extra, strict=True):
                if gradient is not None:
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        try:
            LightningModule.backward(self.module, loss, *args, **options)
            return
        except (RuntimeError, MemoryError) as error:
            if batch is None or not is_out_of_memory(error):
                raise
        self._report(batch)
        if not alone:
            raise _cannot(
                batch, "in the backward pass, which holds gradients of other micro-batches or processes"
            )
        with self.module.trainer.precision_plugin.train_step_context():
            self._in_parts(batch, keep_last=False)

    def evaluate(self, batch: Batch, run: Pass | None = None) -> StepOutput:
        """Outcome of a validation batch."""
        self._pass = run or Pass(self.module)
        return self._whole_or_none(batch) or self._in_parts(batch, keep_last=True)

    def _whole_or_none(self, batch: Batch) -> StepOutput | None:
        """Outcome of a batch in one piece; None when it does not fit."""
        try:
            return self._pass.forward(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        self._report(batch)
        return None

    def _ranks(self) -> int:
        return int(self.module.trainer.world_size)

    def _parameters(self) -> list[nn.Parameter]:
        """Those that get gradients."""
        chosen = self._pass.parameters
        return list(self.module.parameters() if chosen is None else chosen)

    def _accumulating(self) -> bool:
        """Whether there are gradients of earlier micro-batches."""
        return any(parameter.grad is not None for parameter in self._parameters())

    def _report(self, batch: Batch) -> None:
        """Say once what did not fit; count it always."""
        self.split += 1
        level = logging.WARNING if self.split == 1 else logging.DEBUG
        logger.log(
            level,
            "out of memory with %s; the batch goes through the model in parts and counts as one. "
            "This is slow: lower training.batch.seconds. Further ones are not reported",
            describe(batch),
        )

    def _in_parts(self, batch: Batch, *, keep_last: bool) -> StepOutput:
        """Forward and backward of a batch in the largest halves, quarters, … that fit."""
        parts: Sequence[Batch] = [batch]
        while True:
            for parameter in self._parameters() if torch.is_grad_enabled() else ():
                parameter.grad = None
            free_memory(self.module.device)
            finer = [half for part in parts for half in halves(part)]
            if len(finer) == len(parts):
                longest = max(parts, key=lambda part: max(lengths_of(part), default=0))
                raise _cannot(longest, "alone")
            parts = finer
            try:
                return self._attempt(parts, keep_last=keep_last)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise

    def _attempt(self, parts: Sequence[Batch], *, keep_last: bool) -> StepOutput:
        total = sum(self._weight(part) for part in parts) or 1.0
        losses: list[Tensor] = []
        stats: list[dict[str, Tensor]] = []
        for part in parts:
            output = self._pass.forward(part)
            share = output.weight / total
            loss = output.loss * share
            stats.append({name: value * share for name, value in output.stats.items()})
            if torch.is_grad_enabled() and not (keep_last and part is parts[-1]):
                chosen = self._pass.parameters
                options = {} if chosen is None else {"inputs": list(chosen)}
                with torch.autocast(loss.device.type, enabled=False):
                    LightningModule.backward(self.module, self._scaled(loss), **options)
                loss = loss.detach()
            losses.append(loss)
        names = [name for name in stats[0] if all(name in values for values in stats)]
        means = {name: torch.stack([values[name] for values in stats]).sum(0) for name in names}
        loss = losses[-1] + sum(loss.detach() for loss in losses[:-1])
        return StepOutput(loss, means, total)

    def _weight(self, part: Batch) -> float:
        """What a part counts, from a pass without gradients, and without a trace in running statistics."""
        model: nn.Module = self.module.model
        modes = [(module, module.training) for module in model.modules()]
        model.eval()
        try:
            with torch.no_grad():
                return float(self._pass.forward(part).weight)
        finally:
            for module, mode in modes:
                module.training = mode

    def _scaled(self, loss: Tensor) -> Tensor:
        """A part's loss as Lightning scales that of a micro-batch."""
        trainer = self.module.trainer
        loss = loss / (self._pass.accumulate or trainer.accumulate_grad_batches)
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        return loss if scaler is None else scaler.scale(loss)


def halves(batch: Batch) -> list[Batch]:
    """A batch as two, each padded no further than its longest item; a batch of one item as it is."""
    count = batch_size(batch)
    if count < 2:
        return [batch]
    return [_part(batch, slice(0, count // 2), count), _part(batch, slice(count // 2, count), count)]


def _part(batch: Batch, rows: slice, count: int) -> Batch:
    part = {key: value[rows] if _by_item(value, count) else value for key, value in batch.items()}
    for key, value in part.items():
        lengths = part.get(f"{key}_lengths")
        if not isinstance(value, Tensor) or value.dim() < 2 or not isinstance(lengths, Tensor):
            continue
        if value.shape[1] == int(batch[f"{key}_lengths"].max()):
            part[key] = value[:, : int(lengths.max())]
    return part


def _by_item(value: Any, count: int) -> bool:
    if isinstance(value, Tensor):
        return value.dim() > 0 and len(value) == count
    return isinstance(value, list | tuple) and len(value) == count


def lengths_of(batch: Batch) -> list[int]:
    """Lengths of the items, of the first field that has lengths."""
    found = next((value for key, value in batch.items() if key.endswith("_lengths")), None)
    return [int(value) for value in found.tolist()] if isinstance(found, Tensor) else []


def describe(batch: Batch) -> str:
    """A batch in words: how many utterances, their longest lengths, their ids."""
    ids, lengths = [str(name) for name in batch.get("ids", ())], lengths_of(batch)
    words = [f"{batch_size(batch)} utterances"]
    words += [f"of lengths {_listed(lengths)}"] if lengths else []
    words += [f"({_listed(ids)})"] if ids else []
    return " ".join(words)


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, values[:8])) + (" …" if len(values) > 8 else "")


def _cannot(batch: Batch, why: str) -> UserError:
    return UserError(
        f"out of memory with {describe(batch)}, {why}",
        hint="lower training.batch.seconds or training.batch.size, or leave out the longest utterances "
        "(training.dataset.max_seconds)",
    )
