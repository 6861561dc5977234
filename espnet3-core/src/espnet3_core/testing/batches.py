"""Items and batches for models and modules: of several lengths, in two precisions, with other padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from espnet3_core.component import Component, Slot
from espnet3_core.protocols import Batch, Item
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.speech import sample_speech
from espnet3_core.testing.stand_ins import Letters, LettersConfig

PRECISIONS: Mapping[str, tuple[torch.dtype, float]] = {
    "fp32": (torch.float32, 1e-4),
    "fp64": (torch.float64, 1e-9),
}
"""Arithmetic, and the largest difference between an utterance alone and in a batch that it allows."""
_GARBAGE = 0.3


def in_precision(batch: Mapping[str, Any], dtype: torch.dtype) -> Batch:
    """A batch whose real-valued fields have a type."""
    return {
        key: value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value
        for key, value in batch.items()
    }


def with_longer_padding(batch: Mapping[str, Any], frames: int, *, garbage: bool) -> Batch:
    """A batch that is padded further: with what pads it already, or with what must not matter.

    Args:
        batch: Fields with ``<field>_lengths`` are lengthened; integers by -1, as ``core/pad`` does.
        frames: By how much.
        garbage: Fill all padding of real-valued fields with a number other than 0.
    """
    longer = dict(batch)
    for name, lengths in batch.items():
        field = name.removesuffix("_lengths")
        if field == name or field not in batch:
            continue
        values: torch.Tensor = batch[field]
        real = values.is_floating_point()
        shape = (values.shape[0], frames, *values.shape[2:])
        grown = torch.cat([values, values.new_full(shape, 0 if real else -1)], 1)
        if garbage and real:
            outside = torch.arange(grown.shape[1]) >= torch.as_tensor(lengths)[:, None]
            grown[outside] = _GARBAGE
        longer[field] = grown
    return longer


def groups_of(count: int) -> list[list[int]]:
    """Rows of the batches that each utterance is compared in: all, then pairs in the other order."""
    rows = list(range(count))
    pairs = [rows[start : start + 2][::-1] for start in range(0, count, 2)]
    return [rows, *pairs]


class BatchedConformance(Conformance):
    """What the classes of models and searches have in common: utterances, and batches of them.

    Attributes:
        items: Utterances as a dataset gives them; None for real speech with ``speech`` and ``text`` (ids).
        seconds: Lengths of the real speech.
        collator: Makes a batch of them.
        precisions: ``fp32`` and ``fp64``; what a model cannot compute in is left out.
    """

    items: Sequence[Item] | None = None
    seconds: Sequence[float] = (0.8, 0.5, 0.3, 0.12)
    collator: ClassVar[Mapping[str, Any]] = {"name": "core/pad"}
    precisions: ClassVar[Sequence[str]] = tuple(PRECISIONS)

    @property
    def vocab_size(self) -> int:
        """Number of tokens: that of ``needs``, or 12."""
        return int(self.needs.get("vocab_size", 12))

    def known_needs(self) -> dict[str, Any]:
        """Adds a tokenizer of letters, its size, no statistics, and the CPU."""
        tokenizer = Letters(LettersConfig(size=self.vocab_size))
        needs = {"tokenizer": tokenizer, "vocab_size": self.vocab_size, "stats": None}
        return {**super().known_needs(), **needs, "device": torch.device("cpu")}

    def utterances(self) -> list[Item]:
        """The items: real speech of several lengths by default, with fewer tokens for what is shorter."""
        if self.items is not None:
            return list(self.items)
        rng = np.random.default_rng(7)
        speech = sample_speech()
        items = []
        for number, length in enumerate(self.seconds):
            source = speech.items[number % len(speech.items)]
            samples = max(1, round(length * speech.sample_rate))
            tokens = rng.integers(2, max(3, self.vocab_size - 1), max(1, round(4 * length)))
            items.append({"id": f"u{number}", "speech": source["speech"][:samples], "text": tokens})
        return items

    def batch(self, items: Sequence[Item], dtype: torch.dtype = torch.float32) -> Batch:
        """Items collated."""
        collate = Component.from_node(self.collator, Slot("collator")).build(**self.known_needs())
        return in_precision(collate(items), dtype)
