"""Loading batches: a ``DataLoader`` that leaves global randomness alone and raises readable errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.bad_data import BadData
from espnet3_core.data.collate import PadCollator
from espnet3_core.data.dataset import Key, PreparedDataset, id_of, known_ids, lengths_of, measure_lengths
from espnet3_core.data.randomness import stable_seed
from espnet3_core.data.reading import Failed, Made, Reader, ReaderCollator
from espnet3_core.data.sampler import BatchSampler
from espnet3_core.data.threads import in_threads
from espnet3_core.errors import UserError
from espnet3_core.memory import keep_freed_memory
from espnet3_core.protocols import Batch, Item

_log = logging.getLogger(__name__)


def _one_thread() -> None:
    torch.set_num_threads(1)


def _set_up(worker: int) -> None:
    _one_thread()
    keep_freed_memory()


class Loader(DataLoader[Any]):
    """Batches of one device. Made by :func:`build_loader`.

    Attributes:
        left_out: Utterances left out for their length.
        bad: The list of utterances that cannot be used.
        waited: Seconds that were spent in asking for batches, since the loader was made.
        asking: Whether a batch is being waited for at this moment.
        threads: Threads that load, in place of worker processes.
    """

    batch_sampler: BatchSampler
    left_out: int = 0
    bad: BadData
    waited: float = 0.0
    asking: bool = False
    threads: int = 0
    _given: int = 0

    def set_epoch(self, epoch: int, start_batch: int = 0) -> None:
        """Choose the epoch, and how many of this device's batches in it have been consumed already."""
        self.batch_sampler.set_epoch(epoch, start_batch)
        self.leave_holes()

    def leave_holes(self) -> None:
        """Leave listed utterances out, those that other processes found, too."""
        if self.bad.refresh():
            self.batch_sampler.holes = self.bad.quarantined(known_ids(self._items))

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        sampler = self.batch_sampler
        if isinstance(self.generator, torch.Generator):
            self.generator.manual_seed(stable_seed("workers", sampler.seed, sampler.epoch, sampler.rank))
        if not self.threads:
            yield from self._good(super().__iter__())
            return
        # What a thread sets is the default of all that ask later: this one asks before, and sets it again.
        own = torch.get_num_threads()
        try:
            with closing(in_threads(self._make, sampler, self.threads, _one_thread)) as batches:
                for batch in self._good(batches):
                    torch.set_num_threads(own)
                    yield batch
        finally:
            torch.set_num_threads(own)

    def _good(self, batches: Iterator[Any]) -> Iterator[Batch]:
        """The batches themselves; what went wrong is raised or reported."""
        for made in self._timed(batches):
            if isinstance(made, Failed):
                raise made.error
            if made.bad:
                self.bad.report(made.bad)
            yield made.batch

    def _make(self, keys: Sequence[Key]) -> Any:
        """What a worker process makes of a batch of keys."""
        reader: Any = self.dataset
        made = self.collate_fn(reader.__getitems__(keys))
        if not (self.pin_memory and torch.cuda.is_available() and isinstance(made, Made)):
            return made
        pinned = {
            name: value.pin_memory() if isinstance(value, torch.Tensor) else value
            for name, value in made.batch.items()
        }
        return made._replace(batch=pinned)

    def awaited(self) -> list[str]:
        """Ids of the batch that is given next."""
        keys: Sequence[Any] = next(islice(self.batch_sampler, self._given, None), [])
        return [id_of(self._items, key.item) for key in keys]

    @property
    def _items(self) -> Any:
        reader: Any = self.dataset
        return reader.dataset

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """The batches, while :attr:`waited` grows."""
        self._given = 0
        while True:
            asked, self.asking = time.monotonic(), True
            batch = next(batches, None)
            self.asking = False
            self.waited += time.monotonic() - asked
            if batch is None:
                return
            self._given += 1
            yield batch


def build_loader(
    dataset: PreparedDataset | Any,
    batch: BatchConfig,
    *,
    collator: Callable[[Sequence[Item]], Batch] | None = None,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    shuffle: bool | None = None,
    lengths: Any = None,
    sample_rate: int | None = None,
    min_seconds: float | None = None,
    max_seconds: float | None = None,
    pin_memory: bool = False,
    multiprocessing_context: str | None = None,
    bad: BadData | None = None,
) -> Loader:
    """Make the loader of one device.

    Args:
        dataset: Prepared items; asked for by :class:`~espnet3_core.data.dataset.Key`.
        batch: Limits, shuffling, workers.
        collator: Items to a batch; None pads (``core/pad``).
        seed: Of the order of batches.
        rank: This device.
        world_size: Number of devices.
        shuffle: Overrides ``batch.shuffle``.
        lengths: Seconds of each item; None asks the dataset, and loads each item once if it does not know
            and ``batch.seconds``, ``min_seconds`` or ``max_seconds`` needs them.
        sample_rate: Rate in Hz, to turn samples into seconds in that case.
        min_seconds: Shorter items are left out.
        max_seconds: Longer items are left out.
        pin_memory: Page-locked host memory, where ``batch.pin_memory`` leaves it open.
        multiprocessing_context: ``spawn``, ``fork`` or ``forkserver``; None for the platform's default.
        bad: What to do about items that cannot be read; None stops.

    Raises:
        UserError: The dataset is empty, all of it is left out, or the limits are missing.
    """
    if batch.workers and batch.threads:
        raise UserError(
            f"batch.workers is {batch.workers} and batch.threads is {batch.threads}: only one of them loads",
            hint="set one of them to 0",
        )
    lengths = _lengths(
        dataset, batch, lengths, sample_rate, bounded=(min_seconds, max_seconds) != (None, None)
    )
    keep = None if lengths is None else within(lengths, min_seconds, max_seconds)
    if keep is not None and not keep.any():
        raise UserError(
            f"all {len(keep)} utterances are shorter than min_seconds {min_seconds} or longer than "
            f"max_seconds {max_seconds}",
            hint="change training.dataset.min_seconds and max_seconds; lengths are in seconds",
        )
    sampler = BatchSampler(
        lengths,
        batch,
        count=len(dataset),
        seed=seed,
        rank=rank,
        world_size=world_size,
        shuffle=shuffle,
        keep=keep,
        dataset=dataset,
        names=getattr(dataset, "ids", None),
    )
    bad = bad or BadData()
    loader = Loader(
        Reader(dataset, lenient=bad.tolerant),  # type: ignore[arg-type]
        batch_sampler=sampler,
        collate_fn=ReaderCollator(collator or PadCollator()),
        num_workers=batch.workers,
        persistent_workers=batch.workers > 0,
        pin_memory=pin_memory if batch.pin_memory is None else batch.pin_memory,
        worker_init_fn=_set_up if batch.workers else None,
        generator=torch.Generator(),
        multiprocessing_context=multiprocessing_context if batch.workers else None,
    )
    loader.bad = bad
    loader.threads = batch.threads
    loader.leave_holes()
    loader.left_out = 0 if keep is None else int((~keep).sum())
    if loader.left_out:
        _log.warning(
            "%d of %d utterances are left out: shorter than %s s or longer than %s s",
            loader.left_out, len(dataset), min_seconds, max_seconds,
        )  # fmt: skip
    return loader


def _lengths(dataset: Any, batch: BatchConfig, given: Any, sample_rate: int | None, *, bounded: bool) -> Any:
    """Seconds of each item: given, known to the dataset, or measured if something needs them."""
    if len(dataset) == 0:
        raise UserError("the dataset is empty", hint="check the manifest and its `where`")
    lengths = lengths_of(dataset) if given is None else given
    if lengths is None and sample_rate is not None and (bounded or batch.seconds is not None):
        return measure_lengths(dataset, sample_rate)
    return lengths


def within(lengths: Any, shortest: float | None, longest: float | None) -> Any:
    """Mask of the lengths inside the bounds, ends included."""
    values = np.asarray(lengths, np.float64)
    low = -np.inf if shortest is None else shortest
    high = np.inf if longest is None else longest
    return (values >= low) & (values <= high)
