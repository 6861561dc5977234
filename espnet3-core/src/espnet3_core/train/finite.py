"""Losses that are not finite: the step is left out, the utterances are named, and too many stop training."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from espnet3_core.errors import UserError
from espnet3_core.train.accumulators import gather
from espnet3_core.train.outputs import is_empty

logger = logging.getLogger(__name__)


class FiniteGuard:
    """Keeps losses that are NaN or infinite from reaching the weights.

    A step that is left out on one rank is left out on all of them, with every micro-batch that it was made
    of: weights, optimizer, schedule, running averages and the model's buffers stay as they were. A step
    whose batches hold no utterance at all (none could be read) is left out, too.

    The flags of each micro-batch are copied to the host asynchronously and read right before the optimizer
    step, when the backward pass is already queued: the device does not wait. Ranks agree through a
    reduction of the flags on the device. fp16 is left to its gradient scaler, which does the same.

    Args:
        limit: Steps in a row that may be left out for their loss.
        loss: What messages call the loss.

    Attributes:
        left_out: Whether the last step was left out.
        skipped: Steps left out for their loss.
    """

    def __init__(self, limit: int = 10, loss: str = "the loss") -> None:
        self.limit = limit
        self.loss = loss
        self.left_out = False
        self.skipped = 0
        self._row = 0
        self._pending: list[tuple[Tensor, Any, list[str]]] = []
        self._buffers: list[Tensor] | None = None
        self._kept: list[Tensor] = []

    @torch.no_grad()
    def before_forward(self, model: nn.Module) -> None:
        """Keep the model's buffers (running statistics) as they are before the first batch of a step."""
        if self._pending:
            return
        if self._buffers is None:
            parameters = {name for name, _ in model.named_parameters()}
            state = model.state_dict(keep_vars=True)
            self._buffers = [
                value for name, value in state.items() if name not in parameters and isinstance(value, Tensor)
            ]
            self._kept = [value.clone() for value in self._buffers]
        elif self._buffers:
            torch._foreach_copy_(self._kept, self._buffers)

    def watch(self, loss: Tensor, batch: Mapping[str, Any], trainer: Any) -> Tensor:
        """Note a loss; returns whether it is finite, as a bool tensor on its device."""
        mine = torch.isfinite(loss.detach())
        agreed = torch.stack([mine, torch.full_like(mine, is_empty(batch))])
        if trainer.world_size > 1:
            everywhere = agreed.to(torch.float32)
            torch.distributed.all_reduce(everywhere, op=torch.distributed.ReduceOp.MIN)
            agreed = everywhere > 0
        flags, event = torch.cat([mine.reshape(1), agreed]), None
        if flags.is_cuda:
            host = torch.empty(len(flags), dtype=torch.bool, pin_memory=True)
            flags = host.copy_(flags, non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        self._pending.append((flags, event, [str(name) for name in batch.get("ids", ())]))
        return mine

    def before_step(self, trainer: Any, parameters: Iterable[nn.Parameter] | None = None) -> None:
        """Clear the gradients when a loss since the last step was not finite, which leaves the step out.

        Args:
            trainer: Lightning's.
            parameters: Those that the step would change; None for all.

        Raises:
            UserError: More than :attr:`limit` steps in a row were left out; on every rank.
        """
        pending, self._pending = self._pending, []
        finite, empty, culprits = True, bool(pending), []
        for flags, event, ids in pending:
            if event is not None:
                event.synchronize()
            mine, everywhere, nothing = flags.tolist()
            finite, empty = finite and everywhere, empty and nothing
            culprits += [] if mine else ids
        self.left_out = empty or not finite
        if not self.left_out:
            self._row = 0
            return
        if not finite:
            self._count(trainer, culprits)
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            for parameter in trainer.lightning_module.parameters() if parameters is None else parameters:
                parameter.grad = None
        if self._buffers:
            with torch.no_grad():
                torch._foreach_copy_(self._buffers, self._kept)

    def _count(self, trainer: Any, culprits: list[str]) -> None:
        self.skipped += 1
        self._row += 1
        names = [name for rank in gather(culprits) for name in rank]
        named = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        where = f"step {trainer.global_step}, epoch {trainer.current_epoch}"
        if self._row > self.limit:
            raise UserError(
                f"{self.loss} was not finite in {self._row} steps in a row, up to {where}; "
                f"utterances: {named}",
                hint="lower the learning rate, clip gradients (training.trainer.gradient_clip_val), "
                "or look at these utterances",
            )
        logger.warning("%s: %s is not finite, the step is left out; utterances: %s", where, self.loss, named)
