"""Which utterances share a batch, for each epoch and device: a pure function of lengths, seed and epoch."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, overload

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
_PART = 1 << 16


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
                + (f" for {sharing} devices together" if sharing > 1 else ""),
                hint="raise training.batch.seconds or training.batch.size",
            )
        most = 2**62 if size is None else size
        return cls(math.inf, most) if seconds is None else cls(seconds, most, WASTE)

    def wider(self) -> Limits:
        """Limits that allow a little more of everything."""
        return Limits(self.seconds * 1.02, math.ceil(self.size * 1.02), min(1.0, self.waste + 0.01))


class Plan(Sequence[list[int]]):
    """Batches in two arrays; a batch is a list of items when asked for.

    Args:
        items: Items, batch after batch, int64.
        ends: Where each batch ends in them, shape (batches,), int64.
    """

    def __init__(self, items: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        self.items, self.ends = items, ends

    @classmethod
    def of(cls, batches: Sequence[Sequence[int]]) -> Plan:
        """A plan of the same batches."""
        items = np.fromiter((item for batch in batches for item in batch), np.int64)
        return cls(items, np.cumsum([len(batch) for batch in batches], dtype=np.int64))

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of items in each batch."""
        return np.diff(self.ends, prepend=0)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each batch begins."""
        return self.ends - self.sizes

    def take(self, chosen: NDArray[np.int64]) -> Plan:
        """The batches of these numbers, in their order."""
        sizes = self.sizes[chosen]
        ends = np.cumsum(sizes)
        shift = np.repeat(self.starts[chosen] - (ends - sizes), sizes)
        return Plan(self.items[shift + np.arange(len(shift))], ends)

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> list[int]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[int]]: ...
    def __getitem__(self, index: int | slice) -> list[int] | list[list[int]]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        start = int(self.ends[place - 1]) if place else 0
        batch: list[int] = self.items[start : self.ends[place]].tolist()
        return batch

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


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
) -> Plan:
    """Group items of similar length into batches.

    The number of batches is a multiple of ``world_size`` and the same in every epoch; device ``r`` takes
    ``plan[r::world_size]``, so that batches of one step stand together and are alike in length.

    With ``scope="per_device"`` the limits are those of each device, and more devices make fewer, larger
    steps. With ``scope="global"`` they are those of a step: one batch is planned as for a single device, and
    its items are dealt out to the devices, so that the steps have the same items on any number of devices.
    Only a step of fewer items than devices takes some from its neighbours in length.

    Batches whose number is no multiple are made even. With ``uneven="split"`` those of most items are split,
    and each item is in exactly one batch; only when there are too few items for that are the cheapest batches
    put together, which may exceed the limits. With ``uneven="drop"`` the batches that are left over are left
    out, others in each epoch; a global step that is dealt out leaves none over.

    An item that is longer than ``seconds`` makes a batch of its own. With ``seconds``, no batch is padded by
    more than 9 %, so that a small set of mixed lengths has more, smaller batches. Nothing here keeps an
    object per item: a million items are planned in arrays of 8 MB.

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
        raise UserError(
            f"{len(values)} utterances are too few for {world_size} devices",
            hint="use fewer devices: training.trainer.devices",
        )
    if not np.isfinite(values).all():
        raise UserError(
            f"item {int(np.flatnonzero(~np.isfinite(values))[0])} has no finite length",
            hint="lengths() gives the seconds of every item",
        )
    abreast = world_size // sharing
    dropping = uneven == "drop" and abreast > 1  # a step that is dealt out leaves no batch over
    spare = abreast - 1 if dropping else 0
    count = None if count is None else count // sharing
    order = np.argsort(values, kind="stable")
    plan = _fill(values, order, limits)
    while count is not None and len(plan) > count + spare:
        limits = limits.wider()
        plan = _fill(values, order, limits)
    if count is None:
        loose = shuffle and limits.seconds < math.inf and len(plan) > 1
        more = len(plan) + math.ceil(len(plan) * SPARE * loose)
        count = max(abreast, (len(plan) if dropping else more + abreast - 1) // abreast * abreast)
    count = min(count, len(values) // world_size * abreast)
    rng = generator_for("batches", seed, epoch)
    if shuffle:
        plan = _shuffled_fill(values, limits, count + spare, rng)
    if dropping and len(plan) > count:
        plan = plan.take(np.sort(rng.permutation(len(plan))[:count]) if shuffle else np.arange(count))
    plan = _even(plan, count, values)
    if sharing > 1:
        plan = _dealt(_at_least(plan, sharing), sharing)
    return plan.take(_shuffled_steps(len(plan), world_size, rng)) if shuffle else plan


def _shuffled_steps(count: int, world_size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """The steps in an order that does not depend on the number of devices, and so the batches of each."""
    steps = rng.permutation(count // world_size)
    places = np.tile(np.arange(world_size), (len(steps), 1))
    order: NDArray[np.int64] = steps[:, None] * world_size + rng.permuted(places, axis=1)
    return order.reshape(-1)


def _dealt(plan: Plan, devices: int) -> Plan:
    """Each batch as one for every device, whose numbers of items differ by one at most."""
    numbers = np.repeat(np.arange(len(plan)), plan.sizes)
    turns = (np.arange(len(numbers)) - plan.starts[numbers]) % devices
    order = np.argsort(numbers * devices + turns, kind="stable")
    sizes = (plan.sizes[:, None] + np.arange(devices - 1, -1, -1)) // devices
    return Plan(plan.items[order], np.cumsum(sizes))


def _at_least(plan: Plan, least: int) -> Plan:
    """Batches of at least so many items each: those of fewer take some from their neighbours in length."""
    sizes = plan.sizes.tolist()
    if min(sizes) >= least:
        return plan
    for places, step in ((range(len(sizes) - 1), 1), (range(len(sizes) - 1, 0, -1), -1)):
        for place in places:
            if (lack := least - sizes[place]) > 0:
                sizes[place] += lack
                sizes[place + step] -= lack
    return Plan(plan.items, np.cumsum(sizes, dtype=np.int64))


def _shuffled_fill(values: NDArray[np.float64], limits: Limits, count: int, rng: np.random.Generator) -> Plan:
    """Batches of a random order by about length; the order comes closer to exact until ``count`` suffices."""
    tie = rng.permutation(len(values))
    noise = rng.uniform(-1, 1, len(values))
    jitter = JITTER
    while True:
        order = tie[np.argsort((values * (1 + jitter * noise))[tie], kind="stable")]
        plan = _fill(values, order, limits)
        if len(plan) <= count or jitter == 0:
            return plan
        jitter = jitter / 2 if jitter > JITTER / 8 else 0.0


def _fill(values: NDArray[np.float64], order: NDArray[np.int64], limits: Limits) -> Plan:
    """Cut an order into batches, each as full as the limits allow."""
    ends: list[int] = []
    longest, held, start, place = 0.0, 0.0, 0, 0
    seconds, size = limits.seconds, limits.size
    share = 1 - limits.waste
    for first in range(0, len(order), _PART):
        for length in values[order[first : first + _PART]].tolist():
            top = length if length > longest else longest
            count = place - start + 1
            if count > 1 and (top * count > seconds or count > size or held + length < share * top * count):
                ends.append(place)
                start, top, held = place, length, 0.0
            longest = top
            held += length
            place += 1
    return Plan(order, np.array([*ends, place], np.int64))


def _even(plan: Plan, count: int, values: NDArray[np.float64]) -> Plan:
    """Make ``count`` batches: split those of most items, or join the shortest ones."""
    if len(plan) > count:
        return _joined(plan, count, values)
    largest = [(-size, start) for size, start in zip(plan.sizes.tolist(), plan.starts.tolist(), strict=True)]
    heapq.heapify(largest)
    cuts = []
    for _ in range(count - len(plan)):
        size, start = heapq.heappop(largest)
        half = -size // 2
        cuts.append(start + half)
        heapq.heappush(largest, (-half, start))
        heapq.heappush(largest, (size + half, start + half))
    return Plan(plan.items, np.sort(np.concatenate([plan.ends, np.array(cuts, np.int64)])))


def _joined(plan: Plan, count: int, values: NDArray[np.float64]) -> Plan:
    batches = list(plan)
    while len(batches) > count:
        cost = [float(values[batch].max()) * len(batch) for batch in batches]
        first, second = np.argsort(cost, kind="stable")[:2].tolist()
        batches[second] = batches[first] + batches[second]
        del batches[first]
    return Plan.of(batches)


def padding_waste(lengths: ArrayLike, batches: Sequence[Sequence[int]]) -> float:
    """Share of padding in the padded length of all batches, from 0 to 1."""
    plan = batches if isinstance(batches, Plan) else Plan.of(batches)
    if not len(plan.items):
        return 0.0
    values = np.asarray(lengths, np.float64)[plan.items]
    padded = float((np.maximum.reduceat(values, plan.starts) * plan.sizes).sum())
    return 1 - float(values.sum()) / padded if padded else 0.0
