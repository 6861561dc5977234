"""Reading the items of a batch, wherever that happens, and what becomes of those that cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from espnet3_core.data.bad_data import BadItem, bad_item
from espnet3_core.data.dataset import Key, id_of, place_of
from espnet3_core.data.sampler import STAND_IN
from espnet3_core.errors import UserError
from espnet3_core.protocols import Batch, Item

_TRIES = 1000


class Failed:
    """An error of the user on its way from a worker process; raised again where batches are consumed."""

    def __init__(self, error: UserError) -> None:
        self.error = error


class Read(NamedTuple):
    """The items of a batch.

    Attributes:
        items: Those that could be read; when there is none, one that stands in for them.
        bad: Those that could not.
        stand_in: Whether there is none.
    """

    items: list[Item]
    bad: list[BadItem]
    stand_in: bool = False


class Made(NamedTuple):
    """A batch and the items that are missing in it; a named tuple so that its tensors can be pinned."""

    batch: Batch
    bad: list[BadItem]


class Reader:
    """A dataset that hands out what goes wrong instead of raising it, so that workers do not garble it.

    Args:
        dataset: Items by :class:`~espnet3_core.data.dataset.Key`.
        lenient: Go on without items that cannot be read.
    """

    def __init__(self, dataset: Any, *, lenient: bool) -> None:
        self.dataset = dataset
        self.lenient = lenient

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitems__(self, keys: Sequence[Key]) -> Read | Failed:
        try:
            return self._lenient(keys) if self.lenient else Read([self.dataset[key] for key in keys], [])
        except UserError as error:
            return Failed(error)

    def _lenient(self, keys: Sequence[Key]) -> Read:
        items: list[Item] = []
        bad: list[BadItem] = []
        for key in keys:
            if key.copy == STAND_IN:
                continue
            try:
                items.append(self.dataset[key])
            except MemoryError:
                raise
            except Exception as error:  # whatever a dataset of the user's own raises over a broken file
                name = id_of(self.dataset, key.item)
                bad.append(bad_item(error, name, place_of(self.dataset, key.item), key.epoch))
        return Read(items, bad) if items else Read([self._stand_in(keys[0])], bad, True)

    def _stand_in(self, key: Key) -> Item:
        """The next item that can be read: every rank needs a batch to make its step with."""
        for offset in range(1, 1 + min(_TRIES, len(self.dataset))):
            try:
                item: Item = self.dataset[Key(key.epoch, (key.item + offset) % len(self.dataset))]
            except MemoryError:
                raise
            except Exception:
                continue
            return item
        raise UserError("none of the utterances can be read", hint="`espnet3 data check` says why")


class ReaderCollator:
    """A collator that passes on what went wrong; a batch of a stand-in has no ids.

    Args:
        collator: Items to a batch.
    """

    def __init__(self, collator: Callable[[Sequence[Item]], Batch]) -> None:
        self.collator = collator

    def __call__(self, read: Any) -> Made | Failed:
        """The batch of what a :class:`Reader` read."""
        if isinstance(read, Failed):
            return read
        try:
            batch = self.collator(read.items)
        except UserError as error:
            return Failed(error)
        return Made({**batch, "ids": []} if read.stand_in else batch, read.bad)
