"""The batch sampler: hands a device its batches of an epoch, from any batch on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.batching import Plan, padding_waste, plan_batches
from espnet3_core.data.dataset import Key
from espnet3_core.errors import UserError

_log = logging.getLogger(__name__)

STAND_IN = -1
"""``copy`` of the only key of a batch whose utterances are all left out: its place in the order stays."""


class BatchSampler:
    """Batches of :class:`~espnet3_core.data.dataset.Key` for one device.

    The plan of an epoch depends on nothing but the lengths, the limits, the seed and the epoch, so any
    process can work it out again and start at any batch. Each epoch has as many batches as the first; where
    a weighted mixture draws longer utterances than then, its batches are a little fuller.

    Args:
        lengths: Length of each item, in seconds; None when unknown (``config.size`` alone counts then).
        config: Limits and shuffling.
        count: Number of items; needed when ``lengths`` is None.
        seed: Of the shuffle.
        rank: This device.
        world_size: Number of devices.
        shuffle: Overrides ``config.shuffle``.
        keep: Items to use, as a mask or indices; None for all.
        dataset: May choose the items of an epoch by ``epoch_indices(seed, epoch)``.
        names: Gives the ids of the items, for warnings.

    Attributes:
        holes: Items that are left out, and from which epoch on. Their places in the batches stay empty, so
            that nothing else changes.
    """

    def __init__(
        self,
        lengths: ArrayLike | None,
        config: BatchConfig,
        *,
        count: int | None = None,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        shuffle: bool | None = None,
        keep: ArrayLike | None = None,
        dataset: Any = None,
        names: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        if lengths is None and config.size is None:
            raise UserError(
                "the dataset has no lengths(), so batches cannot be limited in seconds",
                hint="set `batch.size`, or give the dataset a method lengths() in seconds",
            )
        self.known = lengths is not None
        self.lengths: NDArray[np.float64] = (
            np.ones(count or 0) if lengths is None else np.asarray(lengths, np.float64)
        )
        self.config = config
        self.seed, self.rank, self.world_size = seed, rank, world_size
        self.shuffle = config.shuffle if shuffle is None else shuffle
        self.dataset = dataset
        items = np.arange(len(self.lengths))
        self.keep = items if keep is None else items[np.asarray(keep)]
        self.epoch, self.start_batch = 0, 0
        self.holes: dict[int, int] = {}
        self._steps = 0
        self._planned: _Planned | None = None
        self._warn(names)

    def _warn(self, find_names: Callable[[], Sequence[str]] | None) -> None:
        limit = self.config.seconds
        if limit is None or not self.known:
            return
        over = self.keep[self.lengths[self.keep] > limit]
        if len(over):
            names = find_names() if find_names else None
            shown = ", ".join(str(names[index] if names else index) for index in over[:5].tolist())
            _log.warning(
                "%d utterances are longer than a batch's %g s, and each makes a batch of its own: %s%s",
                len(over), limit, shown, " …" if len(over) > 5 else "",
            )  # fmt: skip

    def _items(self, epoch: int) -> NDArray[np.int64]:
        """Items of an epoch, repetitions included."""
        choose = getattr(self.dataset, "epoch_indices", None)
        chosen = choose(self.seed, epoch) if callable(choose) and self.shuffle else None
        if chosen is None:
            return self.keep
        if len(self.keep) == len(self.lengths):
            return np.asarray(chosen, np.int64)
        return np.asarray(chosen, np.int64)[np.isin(chosen, self.keep)]

    def plan(self, epoch: int | None = None) -> list[list[Key]]:
        """Batches of an epoch for all devices; this device takes ``plan[rank::world_size]``."""
        planned = self._plan(self.epoch if epoch is None else epoch)
        return [self._keys(planned, place) for place in range(len(planned.plan))]

    def _plan(self, epoch: int) -> _Planned:
        if self._planned is None or self._planned.epoch != epoch:
            if not self._steps and epoch and self._items(0) is not self.keep:
                self._plan(0)
            items = self._items(epoch)
            if not len(items):
                raise UserError(
                    "no utterance is left to make batches of", hint="see min_seconds and max_seconds"
                )
            config = self.config
            plan = plan_batches(
                self.lengths[items],
                seconds=config.seconds if self.known else None,
                size=config.size,
                shuffle=self.shuffle,
                seed=self.seed,
                epoch=epoch,
                world_size=self.world_size,
                scope=config.scope,
                uneven=config.uneven,
                count=self._steps * self.world_size if self._steps and items is not self.keep else None,
            )
            self._steps = self._steps or len(plan) // self.world_size
            copies = None if items is self.keep else _copies(items)
            self._planned = _Planned(epoch, plan, items, copies)
        return self._planned

    def _keys(self, planned: _Planned, place: int) -> list[Key]:
        """A batch without its holes; a stand-in where nothing else is left."""
        keys = planned.keys(place)
        kept = [key for key in keys if key.epoch < self.holes.get(key.item, key.epoch + 1)]
        return kept or [keys[0]._replace(copy=STAND_IN)]

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose the epoch, and how many of this device's batches in it have been consumed already."""
        self.epoch, self.start_batch = epoch, start_batch

    def __iter__(self) -> Iterator[list[Key]]:
        planned = self._plan(self.epoch)
        start = self.rank + self.start_batch * self.world_size
        return (self._keys(planned, place) for place in range(start, len(planned.plan), self.world_size))

    def __len__(self) -> int:
        """Batches of this device in the whole epoch, consumed ones included."""
        return len(self._plan(self.epoch).plan) // self.world_size

    def waste(self) -> float:
        """Share of padding in the epoch's plan, from 0 to 1."""
        planned = self._plan(self.epoch)
        return padding_waste(self.lengths[planned.items], planned.plan)

    def held(self) -> NDArray[np.int64]:
        """Items in the epoch's batches on all devices, repetitions included."""
        planned = self._plan(self.epoch)
        return planned.items[planned.plan.items]

    def left_over(self) -> int:
        """Utterances that the epoch's plan leaves out to make the numbers of batches even."""
        planned = self._plan(self.epoch)
        return len(planned.items) - len(planned.plan.items)

    def state(self) -> dict[str, Any]:
        """What identifies the plan and the place in it; put in checkpoints."""
        return {"epoch": self.epoch, "start_batch": self.start_batch, "plan": self.fingerprint()}

    def fingerprint(self) -> str:
        """Hash of everything that decides the plans."""
        config = self.config
        limits = (config.seconds, config.size, config.scope, config.uneven)
        digest = hashlib.sha256(repr((*limits, self.shuffle, self.seed, self.world_size)).encode())
        digest.update(self.lengths.tobytes() + np.ascontiguousarray(self.keep).tobytes())
        return digest.hexdigest()


class _Planned(NamedTuple):
    """The plan of an epoch; its numbers count in ``items``."""

    epoch: int
    plan: Plan
    items: NDArray[np.int64]
    copies: NDArray[np.int64] | None

    def keys(self, place: int) -> list[Key]:
        """A batch as what datasets are asked for."""
        batch = self.plan[place]
        items = self.items[batch].tolist()
        copies = [0] * len(items) if self.copies is None else self.copies[batch].tolist()
        return [Key(self.epoch, item, copy) for item, copy in zip(items, copies, strict=True)]


def _copies(items: NDArray[np.int64]) -> NDArray[np.int64]:
    """How often each item has stood earlier in the list."""
    order = np.argsort(items, kind="stable")
    ordered = items[order]
    first = np.searchsorted(ordered, ordered, side="left")
    copies = np.empty(len(items), np.int64)
    copies[order] = np.arange(len(items)) - first
    return copies
