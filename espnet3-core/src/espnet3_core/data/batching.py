"""Which utterances share a batch, for each epoch and device: a pure function of lengths, seed and epoch."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espnet3_core.data.randomness import generator_for
from espnet3_core.errors import UserError

Scope = Literal["per_device", "global"]
Uneven = Literal["split", "drop"]

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
    def make(cls, seconds: float | None, size: int | None, sharing: int = 1) -> Limits:
        """Limits of a batch that so many devices share.

        Raises:
            UserError: No limit is given, or one is too small.
        """
        if seconds is None and size is None:
            raise UserError(
                "no batch limit is set", hint="set `batch.seconds: 120` (padded audio) or `batch.size: 16`"
            )
        if (seconds is not None and not seconds > 0) or (size is not None and size < sharing):
            raise UserError(
                f"batch limits are too small: seconds {seconds}, size {size}"
                + (f" for {sharing} devices together" if sharing > 1 else "")
            )
        most = 2**62 if size is None else size
        return cls(math.inf, most) if seconds is None else cls(seconds, most, WASTE)

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
    scope: Scope = "per_device",
    uneven: Uneven = "split",
    count: int | None = None,
) -> list[list[int]]:
    """Group items of similar length into batches.

    The number of batches is a multiple of ``world_size`` and the same in every epoch; device ``r`` takes
    ``plan[r::world_size]``, so that batches of one step stand together and are alike in length.

    With ``scope="per_device"`` the limits are those of each device, and more devices make fewer, larger
    steps. With ``scope="global"`` they are those of a step: one batch is planned as for a single device, and
    its items are dealt out to the devices, so that the steps have the same items on any number of devices.
    Only a step of fewer items than devices takes some from its neighbours in length.

    Batches whose number is no multiple are made even. With ``uneven="split"`` those of most items are split,
    and each item is in exactly one batch; only when every batch holds a single item are the two shortest put
    together, which may exceed the limits. With ``uneven="drop"`` the batches that are left over are left out,
    others in each epoch; a global step that is dealt out leaves none over.

    An item that is longer than ``seconds`` makes a batch of its own. With ``seconds``, no batch is padded by
    more than 9 %, so that a small set of mixed lengths has more, smaller batches.

    Args:
        lengths: Length of each item, shape (items,), usually in seconds.
        seconds: Most padded length of a batch: its longest item times its number of items.
        size: Most items in a batch.
        shuffle: Vary the batches and their order from epoch to epoch; otherwise shortest first.
        seed: Of the shuffle.
        epoch: Of the shuffle.
        world_size: Number of devices.
        scope: Whether the limits are for each device or for all together.
        uneven: What becomes of batches that cannot be shared out evenly.
        count: Number of batches, a multiple of ``world_size``; limits are exceeded as far as that needs.
            None for as few as the limits allow, and some to spare.

    Returns:
        Indices of the items of each batch.

    Raises:
        UserError: No limit is given, or there are fewer items than devices.
    """
    values = np.asarray(lengths, np.float64)
    sharing = world_size if scope == "global" else 1
    limits = Limits.make(seconds, size, sharing)
    if len(values) < world_size:
        raise UserError(f"{len(values)} utterances are too few for {world_size} devices")
    if not np.isfinite(values).all():
        raise UserError(f"item {int(np.flatnonzero(~np.isfinite(values))[0])} has no finite length")
    abreast = world_size // sharing
    dropping = uneven == "drop" and abreast > 1  # a step that is dealt out leaves no batch over
    spare = abreast - 1 if dropping else 0
    count = None if count is None else count // sharing
    order = np.argsort(values, kind="stable")
    batches = _fill(values, order, limits)
    while count is not None and len(batches) > count + spare:
        limits = limits.wider()
        batches = _fill(values, order, limits)
    if count is None:
        loose = shuffle and limits.seconds < math.inf and len(batches) > 1
        more = len(batches) + math.ceil(len(batches) * SPARE * loose)
        count = max(abreast, (len(batches) if dropping else more + abreast - 1) // abreast * abreast)
    count = min(count, len(values) // world_size * abreast)
    rng = generator_for("batches", seed, epoch)
    if shuffle:
        batches = _shuffled_fill(values, limits, count + spare, rng)
    if dropping and len(batches) > count:
        kept = np.sort(rng.permutation(len(batches))[:count]) if shuffle else range(count)
        batches = [batches[place] for place in kept]
    batches = _even(batches, count, values)
    if sharing > 1:
        batches = [
            batch[device::sharing] for batch in _at_least(batches, sharing) for device in range(sharing)
        ]
    return _shuffled_steps(batches, world_size, rng) if shuffle else batches


def _shuffled_steps(batches: list[list[int]], world_size: int, rng: np.random.Generator) -> list[list[int]]:
    """The steps in an order that does not depend on the number of devices, and so the batches of each."""
    steps = rng.permutation(len(batches) // world_size).tolist()
    return [
        batches[step * world_size + place] for step in steps for place in rng.permutation(world_size).tolist()
    ]


def _at_least(batches: list[list[int]], least: int) -> list[list[int]]:
    """Batches of at least so many items each: those of fewer take some from their neighbours in length."""
    sizes = [len(batch) for batch in batches]
    if min(sizes) >= least:
        return batches
    for places, step in ((range(len(sizes) - 1), 1), (range(len(sizes) - 1, 0, -1), -1)):
        for place in places:
            if (lack := least - sizes[place]) > 0:
                sizes[place] += lack
                sizes[place + step] -= lack
    ends = list(accumulate(sizes))
    items = [item for batch in batches for item in batch]
    return [items[end - size : end] for end, size in zip(ends, sizes, strict=True)]


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
