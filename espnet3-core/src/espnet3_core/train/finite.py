"""Losses that are not finite: the step is left out, the utterances are named, and too many stop training."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from espnet3_core.errors import UserError

logger = logging.getLogger(__name__)


class FiniteGuard:
    """Keeps losses that are NaN or infinite from reaching the weights.

    The flag of each micro-batch is copied to the host asynchronously and read right before the optimizer
    step, when the backward pass is already queued: the device does not wait. Ranks agree through a
    reduction of the flags on the device. fp16 is left to its gradient scaler, which does the same.

    Args:
        limit: Steps in a row that may be left out.
        loss: What messages call the loss.

    Attributes:
        left_out: Whether the last step was left out.
    """

    def __init__(self, limit: int = 10, loss: str = "the loss") -> None:
        self.limit = limit
        self.loss = loss
        self.left_out = False
        self.skipped = 0
        self._row = 0
        self._pending: list[tuple[Tensor, Any, list[str]]] = []

    def watch(self, loss: Tensor, batch: Mapping[str, Any], trainer: Any) -> Tensor:
        """Note a loss; returns whether it is finite, as a bool tensor on its device."""
        mine = torch.isfinite(loss.detach())
        flags = torch.stack([mine, mine])
        if trainer.world_size > 1:
            everywhere = mine.to(torch.float32)
            torch.distributed.all_reduce(everywhere, op=torch.distributed.ReduceOp.MIN)
            flags = torch.stack([mine, everywhere > 0])
        event = None
        if flags.is_cuda:
            host = torch.empty(2, dtype=torch.bool, pin_memory=True)
            flags = host.copy_(flags, non_blocking=True)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record()
        ids = batch.get("ids", ())
        self._pending.append((flags, event, [str(name) for name in ids]))
        return mine

    def before_step(self, trainer: Any, parameters: Iterable[nn.Parameter] | None = None) -> None:
        """Clear the gradients when a loss since the last step was not finite, which leaves the step out.

        Args:
            trainer: Lightning's.
            parameters: Those that the step would change; None for all.

        Raises:
            UserError: More than :attr:`limit` steps in a row were left out.
        """
        pending, self._pending = self._pending, []
        finite, culprits = True, []
        for flags, event, ids in pending:
            if event is not None:
                event.synchronize()
            mine, everywhere = flags.tolist()
            finite = finite and everywhere
            culprits += [] if mine else ids
        self.left_out = not finite
        if finite:
            self._row = 0
            return
        self.skipped += 1
        self._row += 1
        named = ", ".join(culprits[:20]) or "none on this rank"
        where = f"step {trainer.global_step}, epoch {trainer.current_epoch}"
        if self._row > self.limit:
            raise UserError(
                f"{self.loss} was not finite in {self._row} steps in a row, up to {where}; "
                f"utterances: {named}",
                hint="lower the learning rate, clip gradients (training.trainer.gradient_clip_val), "
                "or look at these utterances",
            )
        logger.warning("%s: %s is not finite, the step is left out; utterances: %s", where, self.loss, named)
        if getattr(trainer.precision_plugin, "scaler", None) is None:
            for parameter in trainer.lightning_module.parameters() if parameters is None else parameters:
                parameter.grad = None
