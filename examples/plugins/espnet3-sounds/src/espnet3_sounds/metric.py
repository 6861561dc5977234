"""The metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from espnet3_core.measure.metric import Metric, Ratio


class Accuracy(Metric):
    """Share of sounds with the right label, in percent. A sound that could not be decoded is wrong."""

    inputs = {"hypothesis": "label", "reference": "dataset:label"}
    on_failure = {"hypothesis": None}
    better = "higher"

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self._records: list[dict[str, Any]] = []

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare labels."""
        for name, hypothesis, reference in zip(ids, values["hypothesis"], values["reference"], strict=True):
            right = int(hypothesis == reference)
            self._records.append(
                {"id": name, "reference": reference, "hypothesis": hypothesis, "right": right}
            )

    def merge(self, other: Self) -> None:
        """Join the records."""
        self._records += other._records

    def compute(self) -> dict[str, Any]:
        """``accuracy`` in percent, and how many sounds it is of."""
        count = len(self._records)
        right = sum(record["right"] for record in self._records)
        return {"accuracy": 100.0 * right / count if count else None, "sounds": count, "right": right}

    def per_utterance(self) -> list[dict[str, Any]]:
        """A record for each sound."""
        return self._records

    def ratio(self) -> Ratio:
        """A mean over sounds: ``espnet3 compare`` draws them again."""
        return Ratio(numerator="right", scale=100.0, same=("reference",))
