"""Which utterances share a batch, for each epoch and device: a pure function of lengths, seed and epoch."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espnet3_core.data.randomness import generator_for
from espnet3_core.errors import UserError

JITTER = 0.05
"""Shuffling sorts by length times a factor from 1 - JITTER to 1 + JITTER."""
WASTE = 0.09
"""Most padding in a batch that is limited in seconds; where lengths differ too much, it ends earlier."""
SPARE = 0.02
"""Batches beyond the fewest possible, so that each epoch's shuffle can have the same number."""


@dataclass(frozen=True)
class Limits:
    """What one batch may hold.

    Attributes:
        seconds: Longest item times number of items, in the unit of the lengths; infinite for no limit.
        size: Number of items.
        waste: Share of padding.
    """

    seconds: float
    size: int
    waste: float = 1.0

    @classmethod
    def make(
        cls, seconds: float | None, size: int | None, world_size: int, scope: Literal["per_device", "global"]
    ) -> Limits:
        """Limits of one device.

        Raises:
            UserError: No limit is given, or one is too small.
        """
        if seconds is None and size is None:
            raise UserError(
                "no batch limit is set", hint="set `batch.seconds: 120` (padded audio) or `batch.size: 16`"
            )
        share = world_size if scope == "global" else 1
        if (seconds is not None and not seconds > 0) or (size is not None and size < share):
            raise UserError(
                f"batch limits are too small: seconds {seconds}, size {size}"
                + (f" for {share} devices together" if share > 1 else "")
            )
        most = 2**62 if size is None else size // share
        return cls(math.inf, most) if seconds is None else cls(seconds / share, most, WASTE)

    def wider(self) -> Limits:
        """Limits that allow a little more of everything."""
        return Limits(self.seconds * 1.02, math.ceil(self.size * 1.02), min(1.0, self.waste + 0.01))


def plan_batches(
    lengths: ArrayLike,
    *,
    seconds: float | None = None,
    size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
    world_size: int = 1,
    scope: Literal["per_device", "global"] = "per_device",
    count: int | None = None,
) -> list[list[int]]:
    """Group items of similar length into batches.

    Each item is in exactly one batch. The number of batches is a multiple of ``world_size`` and the same in
    every epoch; device ``r`` takes ``plan[r::world_size]``, so that batches of one step stand together and
    are alike in length. To make the numbers even, the batches of most items are split, and never an item
    dropped or repeated; only when there are too few items for that are the cheapest batches put together,
    which may exceed the limits. An item that is longer than ``seconds`` makes a batch of its own. With ``seconds``,
    no batch is padded by more than 9 %, so that a small set of mixed lengths has more, smaller batches.

    Args:
        lengths: Length of each item, shape (items,), usually in seconds.
        seconds: Most padded length of a batch: its longest item times its number of items.
        size: Most items in a batch.
        shuffle: Vary the batches and their order from epoch to epoch; otherwise shortest first.
        seed: Of the shuffle.
        epoch: Of the shuffle.
        world_size: Number of devices.
        scope: Whether the limits are for each device or for all together.
        count: Number of batches, a multiple of ``world_size``; limits are exceeded as far as that needs.
            None for as few as the limits allow, and some to spare.

    Returns:
        Indices of the items of each batch.

    Raises:
        UserError: No limit is given, or there are fewer items than devices.
    """
    values = np.asarray(lengths, np.float64)
    limits = Limits.make(seconds, size, world_size, scope)
    if len(values) < world_size:
        raise UserError(f"{len(values)} utterances are too few for {world_size} devices")
    if not np.isfinite(values).all():
        raise UserError(f"item {int(np.flatnonzero(~np.isfinite(values))[0])} has no finite length")
    order = np.argsort(values, kind="stable")
    batches = _fill(values, order, limits)
    while count is not None and len(batches) > count:
        limits = limits.wider()
        batches = _fill(values, order, limits)
    if count is None:
        uneven = shuffle and limits.seconds < math.inf and len(batches) > 1
        count = _next_multiple(len(batches) + math.ceil(len(batches) * SPARE * uneven), world_size)
    count = min(count, len(values) - len(values) % world_size)
    if not shuffle:
        return _even(batches, count, values)
    rng = generator_for("batches", seed, epoch)
    batches = _even(_shuffled_fill(values, limits, count, rng), count, values)
    return [
        batches[step * world_size + place]
        for step in rng.permutation(count // world_size).tolist()
        for place in rng.permutation(world_size).tolist()
    ]


def _next_multiple(count: int, of: int) -> int:
    return -(-count // of) * of


def _shuffled_fill(
    values: NDArray[np.float64], limits: Limits, count: int, rng: np.random.Generator
) -> list[list[int]]:
    """Batches of a random order by about length; the order comes closer to exact until ``count`` suffices."""
    tie = rng.permutation(len(values))
    noise = rng.uniform(-1, 1, len(values))
    jitter = JITTER
    while True:
        order = tie[np.argsort((values * (1 + jitter * noise))[tie], kind="stable")]
        batches = _fill(values, order, limits)
        if len(batches) <= count or jitter == 0:
            return batches
        jitter = jitter / 2 if jitter > JITTER / 8 else 0.0


def _fill(values: NDArray[np.float64], order: NDArray[np.int64], limits: Limits) -> list[list[int]]:
    """Cut an order into batches, each as full as the limits allow."""
    indices = order.tolist()
    ends: list[int] = []
    longest, held, start = 0.0, 0.0, 0
    seconds, size = limits.seconds, limits.size
    share = 1 - limits.waste
    for place, length in enumerate(values[order].tolist()):
        top = length if length > longest else longest
        count = place - start + 1
        if count > 1 and (top * count > seconds or count > size or held + length < share * top * count):
            ends.append(place)
            start, top, held = place, length, 0.0
        longest = top
        held += length
    ends.append(len(indices))
    starts = [0, *ends[:-1]]
    return [indices[start:end] for start, end in zip(starts, ends, strict=True) if end > start]


def _even(batches: list[list[int]], count: int, values: NDArray[np.float64]) -> list[list[int]]:
    """Make ``count`` batches: split those of most items, or join the shortest ones."""
    pieces = {place: [batch] for place, batch in enumerate(batches)}
    largest = [(-len(batch), place) for place, batch in enumerate(batches)]
    heapq.heapify(largest)
    for _ in range(count - len(batches)):
        place = heapq.heappop(largest)[1]
        parts = pieces[place]
        part = parts.pop(max(range(len(parts)), key=lambda index: len(parts[index])))
        parts += [part[: len(part) // 2], part[len(part) // 2 :]]
        heapq.heappush(largest, (-max(map(len, parts)), place))
    even = [part for place in range(len(batches)) for part in pieces[place]]
    while len(even) > count:
        cost = [float(values[batch].max()) * len(batch) for batch in even]
        first, second = np.argsort(cost, kind="stable")[:2].tolist()
        even[second] = even[first] + even[second]
        del even[first]
    return even


def padding_waste(lengths: ArrayLike, batches: Sequence[Sequence[int]]) -> float:
    """Share of padding in the padded length of all batches, from 0 to 1."""
    values = np.asarray(lengths, np.float64)
    padded = sum(float(values[list(batch)].max()) * len(batch) for batch in batches)
    held = sum(float(values[list(batch)].sum()) for batch in batches)
    return 1 - held / padded if padded else 0.0
