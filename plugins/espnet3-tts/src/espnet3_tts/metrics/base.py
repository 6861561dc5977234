"""Metrics whose score is a ratio of sums over utterances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from espnet3_core.measure.bootstrap import pool, ratio_interval
from espnet3_core.measure.metric import Metric, Ratio

BY_UTTERANCE = "utterance"


class PooledMetric(Metric):
    """Keeps a numerator and a denominator per utterance; the score is the ratio of their sums.

    Attributes:
        key: Name of the score.
        scale: Factor, 100 for percent.
        inputs: Reference and synthetic speech.
    """

    inputs: ClassVar[Mapping[str, str]] = {"reference": "dataset:speech", "audio": "audio"}
    key: ClassVar[str]
    scale: ClassVar[float] = 1.0

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.entries: list[dict[str, Any]] = []

    def add(self, name: str, numerator: float, denominator: float, **facts: Any) -> None:
        """Take in an utterance."""
        self.entries.append({"id": name, "numerator": numerator, "denominator": denominator, **facts})

    def merge(self, other: Self) -> None:
        """Take in the utterances of another shard."""
        self.entries.extend(other.entries)

    def score(self) -> float | None:
        """The ratio; None where nothing was measured."""
        below = sum(entry["denominator"] for entry in self.entries)
        return self.finish(sum(entry["numerator"] for entry in self.entries) / below) if below else None

    def finish(self, ratio: float) -> float:
        """The score of a ratio; it must grow with it."""
        return self.scale * ratio

    def compute(self) -> dict[str, Any]:
        """The score, its bootstrap interval, and the number of utterances."""
        values: dict[str, Any] = {self.key: self.score()}
        interval = getattr(self.config, "interval", None)
        if interval is not None:
            units = [(entry["id"], entry["numerator"], entry["denominator"]) for entry in self.entries]
            found = ratio_interval(pool(units), interval)
            values["interval"] = None if found is None else [self.finish(end) for end in found]
            values |= {"level": interval.level, "interval_by": interval.by}
        return values | {"utterances": len(self.entries)}

    def per_utterance(self) -> list[dict[str, Any]]:
        """What was measured of each utterance."""
        return [dict(entry) for entry in self.entries]

    def ratio(self) -> Ratio | None:
        """How the score comes from the records."""
        return Ratio(numerator="numerator", denominator="denominator", scale=self.scale)
