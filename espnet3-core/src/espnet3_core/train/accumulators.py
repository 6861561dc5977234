"""Weighted means that survive an interruption: kept on the device, reduced over ranks once, saved exactly.

Sums are exact: a number is cut into digits of a fixed base, and digits are summed one by one, which no order
and no division among processes can change (the idea of Kulisch's long accumulator, "Computer Arithmetic and
Validity", 2013, chapter 8, in double precision). A mean is rounded once, at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

_BITS = 24
"""Of a digit: 2**29 of them fit into a float64 before a sum of digits is rounded."""

_PLACES = range(-8, 8)
"""Powers of 2**24 that have a digit. What is below 2**-192 is cut off; 2**192 and more counts as infinite."""

State = list[tuple[list[str], list[list[float]]]]
"""Names, and for each place the digits of their sums, then that of the weight."""


class MeanAccumulator:
    """Weighted means of named scalars.

    Sums stay on the device of the values, so that adding needs no synchronisation; reading does. (Where the
    device has no float64, as on Apple's, they are on the CPU, and adding waits for the value.) Each value
    times its weight is rounded to float64, and nothing else is: the means are the same however the steps are
    ordered or divided among processes.
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
        tensors = [_wide(value.detach()) for value in values.values()]
        step = torch.stack([*tensors, torch.ones_like(tensors[0])])
        step = step * (_wide(weight) if isinstance(weight, Tensor) else weight)
        if valid is not None:
            step = torch.where(valid.to(step.device), step, torch.zeros_like(step))
        former = self._sums.get(names)
        self._sums[names] = digits(step) if former is None else former + digits(step)

    def reset(self) -> None:
        """Forget everything."""
        self._sums = {}

    def state(self) -> State:
        """Names and sums of this process, as plain numbers."""
        return [(list(names), sums.tolist()) for names, sums in self._sums.items()]

    def load(self, state: State, device: torch.device) -> None:
        """Continue from :meth:`state`."""
        place = _place(device)
        self._sums = {
            tuple(names): torch.tensor(sums, dtype=torch.float64, device=place) for names, sums in state
        }

    def means(self) -> dict[str, float]:
        """Means over this process."""
        return means_of([self.state()])

    def reduced_means(self) -> dict[str, float]:
        """Means over all ranks, equal on each of them; a collective call."""
        return means_of(gather(self.state()))


def digits(values: Tensor) -> Tensor:
    """The digits of float64 numbers, each with the sign of its number: ``(places, values)``, all exact."""
    above = torch.trunc(values * _scales(values.device))
    lower = above[:-1] - above[1:] * 2.0**_BITS
    return torch.cat([lower, above[-1:]])


@cache
def _scales(device: torch.device) -> Tensor:
    scales = [[2.0 ** (-_BITS * place)] for place in _PLACES]
    return torch.tensor(scales, dtype=torch.float64, device=device)


def merged(states: Sequence[State]) -> State:
    """The state of one process that has seen what several have."""
    sums: dict[tuple[str, ...], Tensor] = {}
    for state in states:
        for names, own in state:
            tensor = torch.tensor(own, dtype=torch.float64)
            former = sums.get(tuple(names))
            sums[tuple(names)] = tensor if former is None else former + tensor
    return [(list(names), total.tolist()) for names, total in sums.items()]


def means_of(states: Sequence[State]) -> dict[str, float]:
    """Means from the states of one or more ranks."""
    totals: dict[str, tuple[Any, Any]] = {}
    for names, sums in merged(states):
        *values, weight = [_number(column) for column in zip(*sums, strict=True)]
        for name, value in zip(names, values, strict=True):
            former = totals.get(name, (0, 0))
            totals[name] = (former[0] + value, former[1] + weight)
    return {name: value / weight if weight else float("nan") for name, (value, weight) in totals.items()}


def _number(column: Sequence[float]) -> int | float:
    """A number from its digits, in units of the lowest place; a float where it is not finite."""
    total = sum(column)
    if total - total != 0:
        return column[-1] if column[-1] - column[-1] != 0 else total
    return sum(int(digit) << (_BITS * index) for index, digit in enumerate(column))


def _wide(value: Tensor) -> Tensor:
    return value.reshape(()).to(_place(value.device), torch.float64)


def _place(device: torch.device) -> torch.device:
    """Where sums are kept: on the device, if it has float64."""
    return torch.device("cpu") if device.type == "mps" else device


def gather(value: Any) -> list[Any]:
    """A small value from every rank, in the order of the ranks; a collective call."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return [value]
    values: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(values, value)
    return values
