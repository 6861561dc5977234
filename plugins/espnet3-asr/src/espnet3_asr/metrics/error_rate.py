"""Pooled error rates over any units, with records per utterance, alignments and an interval."""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain, repeat
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self

from espnet3_core.errors import UserError
from espnet3_core.files import atomic_open
from espnet3_core.measure.bootstrap import pool, ratio_interval
from espnet3_core.measure.config import TextMetricConfig
from espnet3_core.measure.metric import Metric, Ratio
from espnet3_core.measure.normalizers import TextNormalizer

from espnet3_asr.metrics.alignment import Counts, Units, count_edits, errors_by_position, show_alignment

BY_UTTERANCE = "utterance"


class Scored(NamedTuple):
    """An utterance that has been compared.

    Attributes:
        id: Utterance id.
        reference: Normalized reference.
        hypothesis: Normalized hypothesis.
        counts: Edits.
        cluster: What ``interval.by`` says of it.
    """

    id: str
    reference: str
    hypothesis: str
    counts: Counts
    cluster: Any


class ErrorRate(Metric):
    """``100 * (substitutions + deletions + insertions) / reference units`` over all utterances together.

    An empty hypothesis is all deletions, an empty reference all insertions; an utterance that could not be
    decoded has an empty hypothesis.

    The interval draws utterances with replacement, or what ``interval.by`` names: utterances with the
    same value are drawn together. Where that field names one thing per reference word (a test string made of
    several recordings), each error counts for the thing of its reference word (an insertion for that of the
    word before it), and those things are drawn.

    Args:
        config: Normalizers and interval.
    """

    inputs: ClassVar = {"reference": "dataset:text", "hypothesis": "text"}
    on_failure: ClassVar = {"hypothesis": ""}
    key: ClassVar[str]
    """Name of the rate in the scores."""

    def __init__(self, config: TextMetricConfig) -> None:
        super().__init__(config)
        self.normalize = TextNormalizer(config.normalizers)
        self.scored: list[Scored] = []

    @abstractmethod
    def units(self, text: str) -> Units:
        """What is counted."""

    def word_of_unit(self, text: str) -> list[int] | None:
        """For each unit of a text the number of its word; None when units do not belong to words."""
        return None

    def spell(self, text: str) -> list[str]:
        """Units as the alignment file shows them."""
        return [str(unit) for unit in self.units(text)]

    def sources(self) -> dict[str, str]:
        """Reference, hypothesis, and with ``interval.by`` the field of clusters."""
        interval = self.config.interval
        if interval is None or interval.by == BY_UTTERANCE:
            return super().sources()
        return super().sources() | {"cluster": f"dataset:{interval.by}"}

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` and ``hypothesis`` texts; ``cluster`` where the interval asks for it.

        Raises:
            UserError: A value is not a text.
        """
        references, hypotheses = values["reference"], values["hypothesis"]
        clusters = values.get("cluster", [None] * len(ids))
        for utterance, reference, hypothesis, cluster in zip(
            ids, references, hypotheses, clusters, strict=True
        ):
            if not isinstance(reference, str) or not isinstance(hypothesis, str):
                wrong = "hypothesis" if isinstance(reference, str) else "reference"
                raise UserError(
                    f"utterance {utterance!r}: the {wrong} of {self.key} is not a text",
                    hint=f"set inputs.{wrong} of the metric to a field that holds text",
                )
            reference, hypothesis = self.normalize(reference), self.normalize(hypothesis)
            counts = count_edits(self.units(reference), self.units(hypothesis))
            self.scored.append(Scored(utterance, reference, hypothesis, counts, cluster))

    def merge(self, other: Self) -> None:
        """Take in the utterances of another shard."""
        self.scored.extend(other.scored)

    def compute(self) -> dict[str, Any]:
        """The rate in percent (None when the references are empty), its interval, and the counts.

        Raises:
            UserError: An utterance was given twice, or ``interval.by`` does not fit the references.
        """
        twice = [name for name, count in Counter(entry.id for entry in self.scored).items() if count > 1]
        if twice:
            raise UserError(
                f"{self.key}: utterances were given twice: {', '.join(sorted(twice)[:5])}",
                hint="`espnet3 run RECIPE --stages infer --force` writes the results anew",
            )
        totals = [entry.counts for entry in self.scored]
        length = sum(counts.length for counts in totals)
        errors = sum(counts.errors for counts in totals)
        values: dict[str, Any] = {self.key: 100 * errors / length if length else (None if errors else 0.0)}
        if self.config.interval is not None:
            found = ratio_interval(pool(chain.from_iterable(self._units())), self.config.interval)
            values["interval"] = None if found is None else [100 * end for end in found]
            values |= {"level": self.config.interval.level, "interval_by": self.config.interval.by}
        return values | {
            "substitutions": sum(counts.substitutions for counts in totals),
            "deletions": sum(counts.deletions for counts in totals),
            "insertions": sum(counts.insertions for counts in totals),
            "reference_length": length,
            "utterances": len(totals),
            "utterances_with_errors": sum(counts.errors > 0 for counts in totals),
        }

    def _units(self) -> Iterator[list[tuple[Hashable, float, float]]]:
        """For each utterance what is drawn, with its errors and its length."""
        if self.config.interval.by == BY_UTTERANCE:
            for entry in self.scored:
                yield [(entry.id, entry.counts.errors, entry.counts.length)]
            return
        lists = [_as_list(entry.cluster) for entry in self.scored]
        words = [len(entry.reference.split()) for entry in self.scored]
        per_word = all(len(names) == count for names, count in zip(lists, words, strict=True))
        for entry, names, count in zip(self.scored, lists, words, strict=True):
            if per_word:
                yield [*self._by_word(entry, names)]
            elif isinstance(entry.cluster, (list, tuple)):
                raise UserError(
                    f"interval.by {self.config.interval.by!r}, utterance {entry.id!r}: {len(names)} values "
                    f"for {count} reference words",
                    hint="a list must have one value per reference word; otherwise give one value",
                )
            else:
                yield [(entry.cluster, entry.counts.errors, entry.counts.length)]

    def _by_word(self, entry: Scored, names: Sequence[Hashable]) -> Iterator[tuple[Hashable, float, float]]:
        if len(set(names)) < 2:
            yield (names[0] if names else ("utterance", entry.id)), entry.counts.errors, entry.counts.length
            return
        words = self.word_of_unit(entry.reference)
        if words is None:
            raise UserError(
                f"{self.key}: its units do not belong to words, so interval.by {self.config.interval.by!r} "
                "cannot tell whose errors they are",
                hint="use another interval.by for this metric, or none",
            )
        errors = errors_by_position(self.units(entry.reference), self.units(entry.hypothesis))
        shares: dict[Hashable, list[int]] = {}
        for word, count in zip(words, errors, strict=True):
            share = shares.setdefault(names[word], [0, 0])
            share[0] += count
            share[1] += 1
        for name, (wrong, length) in shares.items():
            yield name, wrong, length

    def per_utterance(self) -> list[dict[str, Any]]:
        """Texts and counts of each utterance; with ``interval.by`` also its shares of what is drawn."""
        interval = self.config.interval
        drawn = interval is not None and interval.by != BY_UTTERANCE
        return [
            {
                "id": entry.id,
                "reference": entry.reference,
                "hypothesis": entry.hypothesis,
                "errors": entry.counts.errors,
                "substitutions": entry.counts.substitutions,
                "deletions": entry.counts.deletions,
                "insertions": entry.counts.insertions,
                "reference_length": entry.counts.length,
                **({"units": [list(unit) for unit in units]} if drawn else {}),
            }
            for entry, units in zip(self.scored, self._units() if drawn else repeat(()), strict=False)
        ]

    def ratio(self) -> Ratio:
        """Errors to reference units, in percent."""
        interval = self.config.interval
        return Ratio(
            numerator="errors",
            denominator="reference_length",
            scale=100.0,
            same=("reference",),
            by=BY_UTTERANCE if interval is None else interval.by,
        )

    def write_artifacts(self, directory: Path, name: str) -> list[Path]:
        """Write ``<name>_alignment.txt``: every utterance with its edits marked."""
        path = directory / f"{name}_alignment.txt"
        with atomic_open(path) as stream:
            for entry in self.scored:
                counts = entry.counts
                shown = show_alignment(self.spell(entry.reference), self.spell(entry.hypothesis))
                stream.write(
                    f"{entry.id}: S {counts.substitutions} D {counts.deletions} I {counts.insertions} "
                    f"N {counts.length}\n{shown}\n\n"
                )
        return [path]

    def provenance(self) -> dict[str, Any]:
        """Names and versions of the normalizers."""
        return {"normalizers": self.normalize.describe()}


def _as_list(cluster: Any) -> list[Hashable]:
    if isinstance(cluster, (list, tuple)):
        return list(cluster)
    return [*str(cluster).split()]
