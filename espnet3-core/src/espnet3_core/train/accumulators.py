"""Weighted means that survive an interruption: kept on the device, reduced over ranks once, saved exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class MeanAccumulator:
    """Weighted means of named scalars.

    Sums are float64 tensors on the device of the values, so that adding needs no synchronisation; reading
    does. Values that were added together are kept together: the order of additions is that of the steps.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, values: Mapping[str, Tensor], weight: float | Tensor, valid: Tensor | None = None) -> None:
        """Add one step.

        Args:
            values: Scalars by name, all on one device.
            weight: How many utterances they are means over.
            valid: A scalar bool tensor; a step for which it is False counts nothing.
        """
        if not values:
            return
        names = tuple(values)
        tensors = [value.detach().reshape(()) for value in values.values()]
        kind = torch.float32 if tensors[0].device.type == "mps" else torch.float64
        stacked = torch.stack(
            [tensor.to(kind) for tensor in tensors] + [torch.ones((), dtype=kind, device=tensors[0].device)]
        )
        step = stacked * weight
        if valid is not None:
            step = torch.where(valid, step, torch.zeros((), dtype=kind, device=step.device))
        former = self._sums.get(names)
        self._sums[names] = step if former is None else former + step

    def reset(self) -> None:
        """Forget everything."""
        self._sums = {}

    def state(self) -> list[tuple[list[str], list[float]]]:
        """Names and sums (the last one is the weight) of this process, as plain numbers."""
        return [(list(names), sums.tolist()) for names, sums in self._sums.items()]

    def load(self, state: Sequence[tuple[Sequence[str], Sequence[float]]], device: torch.device) -> None:
        """Continue from :meth:`state`."""
        kind = torch.float32 if device.type == "mps" else torch.float64
        self._sums = {
            tuple(names): torch.tensor(list(sums), dtype=kind, device=device) for names, sums in state
        }

    def means(self) -> dict[str, float]:
        """Means over this process."""
        return means_of([self.state()])

    def reduced_means(self) -> dict[str, float]:
        """Means over all ranks, equal on each of them; a collective call."""
        return means_of(gather(self.state()))


def means_of(states: Sequence[Sequence[tuple[Sequence[str], Sequence[float]]]]) -> dict[str, float]:
    """Means from the states of one or more ranks, summed in the order of the ranks."""
    totals: dict[str, list[float]] = {}
    for state in states:
        for names, sums in state:
            for name, value in zip(names, sums[:-1], strict=True):
                total = totals.setdefault(name, [0.0, 0.0])
                total[0] += value
                total[1] += sums[-1]
    return {name: value / weight if weight else float("nan") for name, (value, weight) in totals.items()}


def gather(value: Any) -> list[Any]:
    """A small value from every rank, in the order of the ranks; a collective call."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
