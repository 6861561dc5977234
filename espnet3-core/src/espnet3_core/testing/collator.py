"""What a collator must offer: every item's values, where its id says."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from espnet3_core.protocols import Batch, Item
from espnet3_core.testing.compare import difference
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.fresh import in_fresh_process
from espnet3_core.testing.speech import sample_speech


class CollatorConformance(Conformance):
    """Ids, fields and their lengths.

    Attributes:
        items: Items to collate; None for real speech with token ids, a label and a text.
    """

    kind = "collator"
    items: Sequence[Item] | None = None

    def utterances(self) -> list[Item]:
        """The items."""
        if self.items is not None:
            return copy.deepcopy(list(self.items))
        sample = sample_speech().items
        return [
            {
                "id": item["id"],
                "speech": item["speech"][: 100 * (number + 1)],
                "tokens": np.arange(1, 4 - number % 3),
                "label": number,
                "text": item["text"],
            }
            for number, item in enumerate(sample)
        ]

    def row(self, batch: Batch, number: int) -> dict[str, Any]:
        """One utterance of a batch, without padding; override it for batches of another form."""
        found: dict[str, Any] = {"id": batch["ids"][number]}
        for name, values in batch.items():
            if name == "ids" or name.endswith("_lengths"):
                continue
            lengths = batch.get(f"{name}_lengths")
            found[name] = values[number] if lengths is None else values[number][: int(lengths[number])]
        return found

    def test_items_keep_their_values(self) -> None:
        """``ids`` in the order of the items, and each field as the item has it."""
        items = self.utterances()
        batch = self.build()(self.utterances())
        names = [item["id"] for item in items]
        self.expect(
            isinstance(batch, dict) and list(batch.get("ids", ())) == names,
            f"the batch has no `ids` that are {names}",
            "return a flat dict with ids: list[str] in the order of the items",
        )
        for number, item in enumerate(items):
            row = self.row(batch, number)
            apart = difference({k: v for k, v in item.items() if k in row}, row, 1e-6, "its values")
            self.expect(
                not apart,
                f"{item['id']}: {apart}",
                "pad behind the values, and put their true number into <field>_lengths",
            )

    def test_lengths_are_integers(self) -> None:
        """``<field>_lengths`` is an int64 tensor with one entry per utterance."""
        batch = self.build()(self.utterances())
        for name, lengths in batch.items():
            if name.endswith("_lengths"):
                right = str(getattr(lengths, "dtype", "")) == "torch.int64" and len(lengths) == len(
                    batch["ids"]
                )
                self.expect(right, f"{name} is {lengths!r}", "make it torch.tensor([...], dtype=torch.int64)")

    def test_an_utterance_does_not_depend_on_the_others(self) -> None:
        """Alone and in another order, its values are the same."""
        items, collate = self.utterances(), self.build()
        batch = collate(self.utterances())
        count = len(items)
        for number in range(count):
            rows = {
                "alone": self.row(collate([self.utterances()[number]]), 0),
                "in the other order": self.row(collate(self.utterances()[::-1]), count - 1 - number),
            }
            for how, row in rows.items():
                apart = difference(self.row(batch, number), row, place="it")
                self.expect(not apart, f"{items[number]['id']} {how}: {apart}", "collate each item by itself")

    def test_items_are_left_as_they_are(self) -> None:
        """Nothing is written into an item."""
        items = self.utterances()
        self.build()(items)
        apart = difference(self.utterances(), items, place="an item")
        self.expect(not apart, f"it changes what it collates: {apart}", "copy before you pad")

    def test_a_worker_gives_the_same_batch(self) -> None:
        """In a spawned process."""
        collate = self.build()
        try:
            there = in_fresh_process(_collate, collate, self.utterances())
        except Exception as error:
            self.fail(f"a spawned worker cannot use it: {type(error).__name__}: {error}", "make it picklable")
        apart = difference(_arrays(collate(self.utterances())), there, place="the batch")
        self.expect(not apart, f"a spawned worker makes another batch: {apart}", "use nothing but the items")


def _collate(collate: Any, items: list[Item]) -> dict[str, Any]:
    return _arrays(collate(items))


def _arrays(batch: Batch) -> dict[str, Any]:
    """Tensors as arrays: they are sent between processes by value."""
    return {key: value.numpy() if hasattr(value, "numpy") else value for key, value in batch.items()}
