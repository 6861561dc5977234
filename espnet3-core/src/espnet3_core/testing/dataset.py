"""What a dataset must offer: ids, lengths and order that hold in any process."""

from __future__ import annotations

from typing import Any

from espnet3_core.data.dataset import ids_of, lengths_of
from espnet3_core.testing.compare import difference
from espnet3_core.testing.conformance import Conformance


class DatasetConformance(Conformance):
    """Items, their ids and lengths.

    Attributes:
        sample_rate: In Hz, of ``speech``.
    """

    kind = "dataset"
    sample_rate: int = 8000

    def known_needs(self) -> dict[str, Any]:
        """Adds the rate, and that broken lines are an error."""
        return {**super().known_needs(), "sample_rate": self.sample_rate, "lenient": False}

    def _items(self, dataset: Any) -> list[Any]:
        self.expect(len(dataset) > 0, "it is empty", "choose a `config` that gives it a few items")
        return [dataset[index] for index in range(len(dataset))]

    def test_items_are_dicts_with_distinct_ids(self) -> None:
        """``dataset[i]`` is a dict whose ``id`` is a text that no other item has."""
        items = self._items(self.build())
        for index, item in enumerate(items):
            self.expect(
                isinstance(item, dict) and isinstance(item.get("id"), str),
                f"item {index} is {str(item)[:60]}",
                "return a dict with `id`, a text from the data, and the fields",
            )
        names = [item["id"] for item in items]
        twice = sorted({name for name in names if names.count(name) > 1})
        self.expect(
            not twice, f"several items have the id {twice[:3]}", "results are kept by id: make them distinct"
        )

    def test_ids_are_those_of_its_items(self) -> None:
        """``ids()``, where it has it, names the items in their order."""
        dataset = self.build()
        told, real = list(ids_of(dataset)), [item["id"] for item in self._items(dataset)]
        self.expect(
            told == real,
            f"ids() gives {told[:4]} …, and the items are {real[:4]} …",
            "give ids in the order of items",
        )

    def test_lengths_are_seconds(self) -> None:
        """``lengths()``, where it has it, is how long the speech of each item lasts."""
        dataset = self.build()
        told, items = lengths_of(dataset), self._items(dataset)
        if told is None or "speech" not in items[0]:
            return
        self.expect(
            len(told) == len(items),
            f"lengths() has {len(told)} entries for {len(items)} items",
            "give one for each",
        )
        for item, length in zip(items, told, strict=True):
            seconds = len(item["speech"]) / self.sample_rate
            self.expect(
                abs(seconds - float(length)) <= 0.02 + 0.01 * seconds,
                f"{item['id']}: lengths() says {float(length):.3f} s, and it has {seconds:.3f} s of speech",
                f"lengths are in seconds, at {self.sample_rate} Hz",
            )

    def test_descriptions_are_those_of_its_items(self) -> None:
        """``describe(i)``, where it has it, is the item without what must be decoded."""
        dataset = self.build()
        if not callable(getattr(dataset, "describe", None)):
            return
        for index, item in enumerate(self._items(dataset)):
            told = dataset.describe(index)
            shared = {key: value for key, value in told.items() if key in item}
            apart = difference(shared, {key: item[key] for key in shared}, place="describe()")
            self.expect(
                not apart and "id" in shared,
                f"item {index}: {apart or 'describe() has no id'}",
                "describe(i) gives id and texts of item i: metrics read references from it",
            )

    def test_items_are_the_same_each_time(self) -> None:
        """Asked twice, in another order, by another object."""
        one, other = self.build(), self.build()
        first = self._items(one)
        for index in reversed(range(len(first))):
            apart = difference(first[index], other[index])
            self.expect(
                not apart,
                f"item {index} differs when it is asked for again: {apart}",
                "augment in transforms, not here",
            )

    def test_workers_give_the_same_items_in_order(self) -> None:
        """Two spawned workers read what this process reads."""
        from torch.utils.data import DataLoader

        dataset = self.build()
        here = self._items(dataset)
        loader: Any = DataLoader(
            dataset, batch_size=1, num_workers=2, collate_fn=_first, multiprocessing_context="spawn"
        )
        try:
            there = list(loader)
        except Exception as error:
            self.fail(
                f"a spawned worker cannot read it: {type(error).__name__}: {error}",
                "it must be picklable: open files when items are read, keep no lambdas and no handles",
            )
        apart = difference(here, there, place="what they read")
        self.expect(
            not apart, f"spawned workers read something else: {apart}", "items must not depend on the process"
        )


def _first(items: list[Any]) -> Any:
    return items[0]
