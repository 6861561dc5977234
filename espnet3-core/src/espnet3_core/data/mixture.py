"""``core/mixture``: several datasets as one, each whole or by weight."""

from __future__ import annotations

import hashlib
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.data.columns import TextColumn
from espnet3_core.data.config import MixtureConfig
from espnet3_core.data.dataset import ids_of, index_id, lengths_of, place_of
from espnet3_core.data.randomness import generator_for
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.protocols import Item


class Mixture:
    """The parts one after the other; with weights, an epoch takes a share of each.

    Without weights an epoch is every item once. With weights an epoch has ``epoch_size`` utterances, split
    among the parts in proportion. Within a part items are taken in a random order, and none again before
    all have been taken, across epochs: over time every item of a part comes equally often.

    Args:
        config: Parts and weights.
        sample_rate: Rate in Hz of the audio in the items, for the parts.
        recipe_dir: Folder that relative paths start from, for the parts.

        lenient: For the parts: leave broken lines out, and tell them in ``findings``.

    Raises:
        CheckFailed: Two parts have items of one id and ``prefix_ids`` is off.
    """

    def __init__(
        self, config: MixtureConfig, *, sample_rate: int | None, recipe_dir: Path, lenient: bool = False
    ) -> None:
        if not config.datasets:
            raise UserError("core/mixture: no dataset is named", hint="list them by name under `datasets`")
        self.config = config
        self.parts: dict[str, Any] = {
            name: component.build(sample_rate=sample_rate, recipe_dir=recipe_dir, lenient=lenient)
            for name, component in config.datasets.items()
        }
        self._names = list(self.parts)
        self._ends = list(accumulate(len(part) for part in self.parts.values()))
        _check_weights(config)
        empty = [name for name, part in self.parts.items() if not len(part)]
        if empty:
            raise UserError(
                f"core/mixture: part {empty[0]!r} is empty", hint="look at its path, or take the part out"
            )
        self._ids = TextColumn.of(self._all_ids())
        self.findings = [f for part in self.parts.values() for f in getattr(part, "findings", ())]

    def _all_ids(self) -> list[str]:
        owner: dict[str, str] = {}
        findings = []
        ids = []
        for name, part in self.parts.items():
            for key in ids_of(part):
                key = f"{name}/{key}" if self.config.prefix_ids else key
                if owner.setdefault(key, name) != name:
                    findings.append(Finding(message=f"id {key!r} is in parts {owner[key]!r} and {name!r}"))
                ids.append(key)
        if findings:
            hint = "set `prefix_ids: true` on the mixture to put the part's name before each id"
            raise CheckFailed([*findings[:-1], Finding(message=findings[-1].message, hint=hint)])
        return ids

    def __len__(self) -> int:
        return self._ends[-1]

    def part_of(self, index: int) -> tuple[Any, int]:
        """The part that an item is in, and its index there."""
        return self._locate(index)[1:]

    def _locate(self, index: int) -> tuple[str, Any, int]:
        """Name, dataset and inner index of an item."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"utterance {index} of {len(self)}")
        index %= len(self)
        number = int(np.searchsorted(self._ends, index, side="right"))
        start = self._ends[number - 1] if number else 0
        return self._names[number], self.parts[self._names[number]], index - start

    def __getitem__(self, index: int) -> Item:
        _, part, inner = self._locate(index)
        return {**part[inner], "id": self._ids[index % len(self)]}

    def describe(self, index: int) -> Item:
        """All fields of an utterance except audio."""
        _, part, inner = self._locate(index)
        describe = getattr(part, "describe", None)
        item = describe(inner) if callable(describe) else part[inner]
        return {
            **{k: v for k, v in item.items() if k not in ("speech", "audio")},
            "id": self._ids[index % len(self)],
        }

    def ids(self) -> list[str]:
        """Ids of all items, part after part."""
        return list(self._ids)

    def lengths(self) -> NDArray[np.float64] | None:
        """Lengths of all items, part after part; None when a part does not know."""
        lengths = [lengths_of(part) for part in self.parts.values()]
        known = [values for values in lengths if values is not None]
        return np.concatenate(known) if len(known) == len(lengths) else None

    def source(self, index: int) -> str:
        """Where an utterance is listed."""
        name, part, inner = self._locate(index)
        return place_of(part, inner) or f"{name}: item {index_id(inner, len(part))}"

    def missing(self) -> list[Finding]:
        """A finding for each audio file that does not exist, of the parts that can tell."""
        return [f for part in self.parts.values() if hasattr(part, "missing") for f in part.missing()]

    def fingerprint(self) -> str:
        """Hash of the parts and of the weights."""
        config = self.config
        digest = hashlib.sha256(repr((config.weights, config.epoch_size, config.prefix_ids)).encode())
        for name, part in self.parts.items():
            own = part.fingerprint() if callable(getattr(part, "fingerprint", None)) else repr(ids_of(part))
            digest.update(f"{name}\0{own}\0".encode())
        return digest.hexdigest()

    def epoch_indices(self, seed: int, epoch: int) -> NDArray[np.int64] | None:
        """Items of an epoch, a function of seed and epoch; None when every item comes once."""
        if not self.config.weights:
            return None
        chosen, start = [], 0
        for name, count in self._shares().items():
            size = len(self.parts[name])
            chosen.append(start + _draw(size, epoch * count, count, (seed, name)))
            start += size
        return np.concatenate(chosen)

    def _shares(self) -> dict[str, int]:
        """Items of each part in an epoch: proportional, rounded so that the sum is the epoch's size."""
        weights = {name: self.config.weights[name] for name in self._names}
        size = len(self) if self.config.epoch_size is None else self.config.epoch_size
        total = sum(weights.values())
        exact = {name: size * weight / total for name, weight in weights.items()}
        shares = {name: int(value) for name, value in exact.items()}
        by_rest = sorted(exact, key=lambda name: shares[name] - exact[name])
        for name in by_rest[: size - sum(shares.values())]:
            shares[name] += 1
        return shares


def _draw(size: int, start: int, count: int, names: tuple[object, ...]) -> NDArray[np.int64]:
    """``count`` places from ``start`` on in an endless row of permutations of ``size`` items."""
    drawn: list[NDArray[np.int64]] = []
    while count > 0:
        turn, offset = divmod(start, size)
        taken = generator_for("mixture", *names, turn).permutation(size)[offset : offset + count]
        drawn.append(taken.astype(np.int64))
        start, count = start + len(taken), count - len(taken)
    return np.concatenate(drawn) if drawn else np.zeros(0, np.int64)


def _check_weights(config: MixtureConfig) -> None:
    if config.epoch_size is not None and (config.epoch_size < 1 or not config.weights):
        raise UserError(
            "core/mixture: epoch_size must be positive, and needs `weights`",
            hint="without weights an epoch is every item once",
        )
    if not config.weights:
        return
    if set(config.weights) != set(config.datasets):
        raise UserError(
            f"core/mixture: weights are given for {', '.join(config.weights)}, "
            f"but the parts are {', '.join(config.datasets)}",
            hint="give a weight to each part, or to none",
        )
    if any(not 0 < weight < float("inf") for weight in config.weights.values()):
        raise UserError("core/mixture: weights must be positive numbers")
