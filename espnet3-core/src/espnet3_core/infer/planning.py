"""What is to be decoded, in which batches: longest first, each test set by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from espnet3_core.data.bad_data import BadData, bad_item
from espnet3_core.errors import UserError


@dataclass
class Work:
    """One test set.

    Attributes:
        name: Its name.
        dataset: The dataset.
        ids: Ids of its items.
        seconds: Lengths of its items; None when the dataset does not tell.
        offset: Number of its first item among the items of all test sets.
        bad: The list of utterances that failed.
        done: Records of items that are finished, by index.
        audio: Seconds of audio decoded in this run.
        spent: Seconds that this took, summed over workers.
    """

    name: str
    dataset: Any
    ids: list[str]
    seconds: list[float] | None
    offset: int = 0
    bad: BadData = field(default_factory=BadData)
    done: dict[int, dict[str, Any]] = field(default_factory=dict)
    audio: float = 0.0
    spent: float = 0.0

    @property
    def left(self) -> list[int]:
        """Indices of the items that are not finished."""
        return [index for index in range(len(self.ids)) if index not in self.done]

    @property
    def to_try_again(self) -> list[int]:
        """Indices of the items that failed and are not in quarantine."""
        if self.bad.policy == "quarantine":
            return []
        return [index for index, record in self.done.items() if "error" in record]

    def leave_out_quarantined(self) -> None:
        """Count utterances that are in quarantine as done, and failed."""
        for index in self.bad.quarantined(self.ids):
            name = self.ids[index]
            self.done.setdefault(index, {"id": name, "error": self.bad.items[name].reason})

    def list_failed(self, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Put failed utterances on the list.

        Raises:
            UserError: There are more than the limit.
        """
        from espnet3_core.data.dataset import place_of

        self.bad.report(
            bad_item(UserError(record["error"]), self.ids[index], place_of(self.dataset, index))
            for index, record in records.items()
            if "error" in record
        )


def make_work(name: str, dataset: Any, offset: int = 0) -> Work:
    """The work on a test set.

    Raises:
        UserError: It is empty, or two items have one id.
    """
    from espnet3_core.data.dataset import ids_of, lengths_of

    if len(dataset) == 0:
        raise UserError(
            f"inference.test_sets.{name}: there is nothing in it",
            hint="look at its path and at what `where` keeps",
        )
    lengths = lengths_of(dataset)
    return Work(
        name, dataset, ids_of(dataset), None if lengths is None else list(map(float, lengths)), offset
    )


def batches_of(
    items: Sequence[int],
    lengths: Sequence[float] | None,
    *,
    seconds: float | None,
    size: int | None,
    workers: int = 1,
) -> list[list[int]]:
    """Group items into batches, longest first.

    Args:
        items: Indices to decode.
        lengths: Seconds of every item by index; None keeps the order, in batches of ``size`` or of 8.
        seconds: Most seconds of padded audio in a batch (longest item times number of items).
        size: Most items in a batch.
        workers: With several, batches are made small enough for each worker to get some.

    Returns:
        Batches of indices; each item stands in exactly one.

    Raises:
        UserError: There is no limit.
    """
    if seconds is None and size is None:
        raise UserError(
            "inference.batch: no limit is set",
            hint="set `batch.seconds: 120` (padded audio) or `batch.size: 16`",
        )
    if lengths is None:
        count = size or 8
        return [list(items[start : start + count]) for start in range(0, len(items), count)]
    order = sorted(items, key=lambda index: -lengths[index])
    limit = float("inf") if seconds is None else seconds
    if workers > 1 and order:
        limit = min(limit, sum(lengths[index] for index in order) / (4 * workers))
    most = size or len(order)
    batches: list[list[int]] = []
    for index in order:
        last = batches[-1] if batches else None
        if last is None or len(last) >= most or (len(last) + 1) * lengths[last[0]] > limit:
            batches.append([index])
        else:
            last.append(index)
    return batches
