"""What a transform must offer: the same change for the same seed, in any process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from espnet3_core.catalog import current_catalog
from espnet3_core.data.randomness import generator_for
from espnet3_core.protocols import Item
from espnet3_core.testing.compare import difference, not_finite
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.fresh import in_fresh_process
from espnet3_core.testing.speech import sample_speech


class TransformConformance(Conformance):
    """Seeded change of items (audio and text), or of features in a model.

    Attributes:
        items: Items to change; None for real speech with its text.
        input_size: Size of features.
    """

    kind = "transform"
    items: Sequence[Item] | None = None
    input_size: int = 20

    def known_needs(self) -> dict[str, Any]:
        """Adds the size of features."""
        return {**super().known_needs(), "input_size": self.input_size}

    @property
    def domain(self) -> str:
        """``audio``, ``text`` or ``features``."""
        return str(current_catalog().find(self.kind, self.name).role)

    def utterances(self) -> list[Item]:
        """The items, anew each time."""
        given = sample_speech().items if self.items is None else self.items
        return [
            {**item, "speech": np.array(item["speech"])} if "speech" in item else dict(item) for item in given
        ]

    def changed(self, transform: Any, epoch: int = 0) -> list[Any]:
        """All items as the transform makes them in an epoch."""
        if self.domain == "features":
            return _features(transform, self.input_size, epoch)
        return _transformed(transform, self.utterances(), epoch)

    def test_seeded(self) -> None:
        """The same generator gives the same change, whatever the global generators are at."""
        import torch

        transform = self.build()
        first = self.changed(transform)
        if self.domain != "features":
            for seed in (1, 2):
                random.seed(seed)
                np.random.seed(seed)
                torch.manual_seed(seed)
                apart = difference(first, self.changed(transform), place="an item")
                self.expect(
                    not apart,
                    f"with the same generator, it makes something else: {apart}",
                    "draw from the generator `rng` that it is given, and from nothing else",
                )
        apart = difference(first, self.changed(self.build()), place="an item")
        self.expect(not apart, f"another object of it makes something else: {apart}", "keep no state")

    def test_global_generators_are_left_alone(self) -> None:
        """They are where they were: training draws from them."""
        import torch

        if self.domain == "features":
            return
        before = random.getstate(), str(np.random.get_state()), torch.random.get_rng_state().tolist()
        self.changed(self.build())
        after = random.getstate(), str(np.random.get_state()), torch.random.get_rng_state().tolist()
        self.expect(before == after, "it moves a global random generator", "draw from `rng` only")

    def test_items_are_left_as_they_are(self) -> None:
        """What it is given is not written to: others hold it, too."""
        if self.domain == "features":
            return
        transform, items = self.build(), self.utterances()
        for item in items:
            transform(item, generator_for(0, 0, item["id"]))
        apart = difference(self.utterances(), items, place="an item")
        self.expect(
            not apart, f"it changes the item that it is given: {apart}", "return a new dict and new arrays"
        )

    def test_results_are_items(self) -> None:
        """Same id; audio of finite float32 samples, one channel, not empty; texts are texts."""
        if self.domain == "features":
            bad = not_finite(self.changed(self.build()))
            self.expect(not bad, f"{bad} is not finite", "look for a mean over nothing")
            return
        for before, after in zip(self.utterances(), self.changed(self.build()), strict=True):
            self.expect(
                isinstance(after, dict) and after.get("id") == before["id"],
                f"{before['id']}: it returns {type(after).__name__} without this id",
                "return the item with its other fields as they were",
            )
            speech = after.get("speech")
            right = speech is None or (
                speech.dtype == np.float32 and speech.ndim == 1 and len(speech) and np.isfinite(speech).all()
            )
            self.expect(
                right, f"{before['id']}: its audio is {_describe(speech)}", "float32, (samples,), finite"
            )
            kinds = [
                key for key in before if isinstance(before[key], str) and not isinstance(after.get(key), str)
            ]
            self.expect(not kinds, f"{before['id']}: {kinds} is not a text any more", "return a text")

    def test_a_worker_makes_the_same(self) -> None:
        """In a spawned process, in another order."""
        if self.domain == "features":
            return
        transform = self.build()
        here = self.changed(transform, epoch=3)
        try:
            there = in_fresh_process(_transformed, transform, self.utterances()[::-1], 3)
        except Exception as error:
            self.fail(f"a spawned worker cannot use it: {type(error).__name__}: {error}", "make it picklable")
        apart = difference(here, there[::-1], place="an item")
        self.expect(not apart, f"a spawned worker makes something else: {apart}", "draw from `rng` only")


def _transformed(transform: Any, items: list[Item], epoch: int) -> list[Any]:
    return [transform(item, generator_for(0, epoch, item["id"])) for item in items]


def _features(transform: Any, size: int, epoch: int) -> list[Any]:
    """What it makes of random features in training, without padding; seeded through torch."""
    import torch

    lengths = torch.tensor([50, 31, 7])
    features = torch.randn(3, 50, size, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(epoch)
    found = transform.train()(features, lengths)
    return [row[:length] for row, length in zip(found, lengths.tolist(), strict=True)]


def _describe(speech: Any) -> str:
    return f"{getattr(speech, 'dtype', type(speech).__name__)} of shape {getattr(speech, 'shape', None)}"
