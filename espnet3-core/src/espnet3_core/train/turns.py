"""Named optimizers: what each of them trains, when it steps, and how often it will have stepped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from espnet3_core.config.roles import NamedOptimizer
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.train.finite import FiniteGuard
from espnet3_core.train.schedules import Steps


@dataclass
class Turn:
    """One named optimizer at work.

    Attributes:
        name: Its key in ``training.optimizers``.
        config: What stands there.
        parameters: The parameters that it trains, by name.
        guard: Watches its losses.
        optimizer: Set when training begins.
        schedule: Its learning-rate schedule with when it steps; None without one.
        updates: Steps that it has made, those left out included.
    """

    name: str
    config: NamedOptimizer
    parameters: Mapping[str, nn.Parameter]
    guard: FiniteGuard
    optimizer: Optimizer = field(init=False)
    schedule: Mapping[str, Any] | None = None
    updates: int = 0

    def takes_part(self, round_index: int) -> bool:
        """Whether it trains in a round, counted from 0: in the last one of every ``every``."""
        return (round_index + 1) % self.config.every == 0

    def steps_after(self, batch: int, *, last: bool) -> bool:
        """Whether it steps after a batch, counted from 1 in the epoch; an epoch leaves nothing half done."""
        return last or batch % self.config.accumulate == 0

    def clip(self) -> None:
        """Bound the gradients as the configuration says."""
        limit = self.config.clip
        if limit is not None and self.config.clip_by == "norm":
            nn.utils.clip_grad_norm_(self.parameters.values(), limit)
        elif limit is not None:
            nn.utils.clip_grad_value_(self.parameters.values(), limit)

    def update_rate(self, interval: str, monitored: Mapping[str, float] | None = None) -> None:
        """Step the schedule if it is one of this interval (``step`` or ``epoch``).

        Args:
            interval: What has just ended.
            monitored: Values for the schedules that watch one; None steps the others.

        Raises:
            UserError: The value that the schedule watches is not logged.
        """
        if self.schedule is None or self.schedule["interval"] != interval:
            return
        monitor: str | None = self.schedule.get("monitor")
        if monitor is None and monitored is None:
            self.schedule["scheduler"].step()
        elif monitor is not None and monitored is not None:
            if monitor not in monitored:
                known = ", ".join(sorted(monitored))
                raise UserError(
                    f"training.optimizers.{self.name}.scheduler.monitor: {monitor!r} is not logged",
                    hint=did_you_mean(monitor, monitored, otherwise=f"logged: {known}"),
                )
            self.schedule["scheduler"].step(monitored[monitor])


def round_length(turns: Sequence[Turn]) -> int:
    """Batches in a round: every optimizer that takes part finishes its accumulation in it."""
    return math.lcm(*(turn.config.accumulate for turn in turns))


def steps_in(
    rounds: Steps, *, config: NamedOptimizer, length: int, batches: Steps, rounds_per_epoch: Steps
) -> Steps:
    """Steps that a named optimizer makes in the first rounds of a training.

    Args:
        rounds: How many.
        config: The optimizer's ``accumulate`` and ``every``.
        length: Batches in a round; the last round of an epoch may have fewer.
        batches: Batches in an epoch.
        rounds_per_epoch: Rounds in an epoch.
    """
    if math.isinf(rounds):
        return math.inf
    full = length // config.accumulate
    taken = int(rounds) // config.every
    if math.isinf(batches):
        return taken * full
    per_epoch = int(rounds_per_epoch)
    rest = int(batches) - (per_epoch - 1) * length
    # Of the rounds that end an epoch, those whose number is a multiple of `every` as well.
    ends = int(rounds) // math.lcm(per_epoch, config.every)
    return (taken - ends) * full + ends * math.ceil(rest / config.accumulate)


@torch.no_grad()
def average_gradients(parameters: Sequence[nn.Parameter], world_size: int) -> None:
    """Mean over all ranks, in one reduction per type of number; a collective call.

    A parameter that some rank did not use counts as zero there; one that no rank used keeps no gradient.

    Args:
        parameters: The same ones on every rank.
        world_size: Number of ranks.
    """
    if world_size == 1:
        return
    kinds: dict[tuple[torch.device, torch.dtype], list[nn.Parameter]] = {}
    for parameter in parameters:
        kinds.setdefault((parameter.device, parameter.dtype), []).append(parameter)
    for group in kinds.values():
        used = torch.tensor([float(item.grad is not None) for item in group]).to(group[0])
        grads = [torch.zeros_like(item) if item.grad is None else item.grad for item in group]
        flat = torch.cat([*(grad.reshape(-1) for grad in grads), used])
        torch.distributed.all_reduce(flat)
        flat /= world_size
        pieces = torch.split(flat, [*(item.numel() for item in group), len(group)])
        missing = any(item.grad is None for item in group)
        anywhere = pieces[-1].tolist() if missing else [1.0] * len(group)
        for item, piece, share in zip(group, pieces, anywhere, strict=False):
            item.grad = _like(piece, item) if share else None


def _like(piece: Tensor, parameter: nn.Parameter) -> Tensor:
    """A part of a flat tensor as a gradient of its own: one kept for long must not hold all the others."""
    return piece.reshape(parameter.shape).clone()
