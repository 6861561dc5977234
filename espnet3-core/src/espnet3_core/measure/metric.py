"""What a metric is: a mergeable state over results, joined with references by utterance id."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

DATASET = "dataset:"


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How the main score comes from the records of :meth:`Metric.per_utterance`.

    The score is ``scale * sum(numerator) / sum(denominator)`` over all records. It stands beside the scores:
    ``espnet3 compare`` draws the records of two experiments again without knowing the metric.

    Attributes:
        numerator: Field of the records.
        denominator: Field of the records; None counts each record once, which makes the score a mean.
        scale: Factor, 100 for percent.
        same: Fields that are the same in experiments that can be compared: references.
        by: What is drawn. Other than ``utterance``, each record has ``units``: a list of
            ``[name, numerator, denominator]``, its shares of the things that are drawn.
    """

    numerator: str
    denominator: str | None = None
    scale: float = 1.0
    same: tuple[str, ...] = ()
    by: str = "utterance"


class Metric(ABC):
    """Base of metrics, built as ``target(config)``.

    A metric is fed with :meth:`update` any number of times, in any order of utterances; shards scored
    apart are joined with :meth:`merge`; and the result does not depend on either.

    Attributes:
        inputs: Input names and where each comes from: ``dataset:FIELD`` is a field of the test set,
            ``FIELD`` one of the results; audio of results comes as :class:`espnet3_core.infer.audio.Audio`.
        on_failure: Values that stand for the results of an utterance that could not be decoded. Where an
            input from the results has none, failed utterances are left out; they are counted always.
        version: Changes whenever equal inputs give other numbers.
        better: Whether a lower or a higher score is better: reports show the worst utterances first.
    """

    inputs: ClassVar[Mapping[str, str]] = {}
    on_failure: ClassVar[Mapping[str, Any]] = {}
    version: ClassVar[str] = "1"
    better: ClassVar[Literal["lower", "higher"]] = "lower"

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def sources(self) -> dict[str, str]:
        """Where each input comes from, the configuration's choices included.

        Raises:
            UserError: The configuration names an input that the metric does not have.
        """
        chosen: Mapping[str, str] = getattr(self.config, "inputs", None) or {}
        for name in chosen:
            if name not in self.inputs:
                raise UserError(
                    f"{type(self).__name__} has no input {name!r}",
                    hint=did_you_mean(
                        name, self.inputs, otherwise=f"its inputs are {', '.join(self.inputs)}"
                    ),
                )
        return {**self.inputs, **chosen}

    @abstractmethod
    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Take in utterances: per input, one value for each id."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another metric of the same configuration has seen."""

    @abstractmethod
    def compute(self) -> dict[str, Any]:
        """The scores, the main one first; numbers, or lists of numbers."""

    def per_utterance(self) -> list[dict[str, Any]]:
        """One record per utterance with ``id``, in the order of updates; empty when it keeps none."""
        return []

    def ratio(self) -> Ratio | None:
        """How the main score comes from the records of utterances; None when it does not."""
        return None

    def write_artifacts(self, directory: Path, name: str) -> list[Path]:
        """Write further files, their names starting with ``name``; returns their paths."""
        return []

    def provenance(self) -> dict[str, Any]:
        """What else decides the numbers and must stand beside them, such as normalizers."""
        return {}
