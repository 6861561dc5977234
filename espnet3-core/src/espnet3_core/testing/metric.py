"""What a metric must offer: the reference's score, from shards and in any order."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from espnet3_core.measure.metric import DATASET
from espnet3_core.testing.compare import difference
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.stand_ins import Letters, LettersConfig


class MetricConformance(Conformance):
    """Scores of utterances.

    Attributes:
        values: Per input of the metric, one value for each of at least three utterances.
        expected: What :meth:`~espnet3_core.measure.metric.Metric.compute` must give for them, by hand or from
            an independent program: some of its scores by name.
        tolerance: Largest difference from them.
        empty: Per input, the value of an utterance with nothing in it.
    """

    kind = "metric"
    values: ClassVar[Mapping[str, Sequence[Any]]] = {}
    expected: Mapping[str, Any] = {}
    tolerance: ClassVar[float] = 1e-9
    empty: ClassVar[Mapping[str, Any]] = {}

    def known_needs(self) -> dict[str, Any]:
        """Adds a tokenizer of letters."""
        return {**super().known_needs(), "tokenizer": Letters(LettersConfig(size=29))}

    @property
    def count(self) -> int:
        """Number of utterances."""
        count = len(next(iter(self.values.values()), ()))
        remedy = "give three utterances or more for each input"
        self.expect(count >= 3, "the test class has no values", remedy)
        return count

    def scored(self, rows: Sequence[int] | None = None) -> Any:
        """The metric after an update with some of the utterances, or all."""
        metric = self.build()
        chosen = range(self.count) if rows is None else rows
        values = {name: [given[row] for row in chosen] for name, given in self.values.items()}
        metric.update([f"u{row}" for row in chosen], **values)
        return metric

    def test_inputs_are_named(self) -> None:
        """``inputs`` are those that ``values`` has, each from the results or the data."""
        sources = self.build().sources()
        self.expect(
            sources and set(sources) == set(self.values),
            f"its inputs are {sorted(sources)}, and the test class has values for {sorted(self.values)}",
            "inputs maps each argument of update() to a field: `text`, or `dataset:text` for the reference",
        )
        unknown = set(self.build().on_failure) - {n for n, s in sources.items() if not s.startswith(DATASET)}
        self.expect(not unknown, f"on_failure names {sorted(unknown)}", "it stands in for results only")

    def test_against_the_reference(self) -> None:
        """The scores that the test class expects."""
        found = self.scored().compute()
        self.expect(
            self.expected, "the test class expects nothing", "set expected from an independent source"
        )
        for name, value in self.expected.items():
            apart = difference(found.get(name), value, self.tolerance, name)
            self.expect(
                name in found and not apart,
                f"{apart or name}",
                f"expected {value!r}, computed {found.get(name)!r}",
            )

    def test_merged_shards_are_the_whole(self) -> None:
        """Scored apart, in other processes or not, and merged."""
        whole = self.scored()
        count = self.count
        for cut in (1, count - 1):
            merged = self.scored(range(cut))
            merged.merge(pickle.loads(pickle.dumps(self.scored(range(cut, count)))))
            merged.merge(self.build())
            apart = difference(whole.compute(), merged.compute(), self.tolerance, "compute()")
            self.expect(
                not apart,
                f"shards of {cut} and {count - cut} utterances, merged: {apart}",
                "keep sums and counts, not ratios; merge() adds them",
            )

    def test_order_does_not_matter(self) -> None:
        """Backwards, and one utterance at a time."""
        count = self.count
        whole = self.scored().compute()
        single = self.build()
        for row in range(count):
            single.merge(self.scored([row]))
        for how, metric in {"backwards": self.scored(range(count)[::-1]), "one by one": single}.items():
            apart = difference(whole, metric.compute(), self.tolerance, "compute()")
            self.expect(not apart, f"{how}: {apart}", "the score is a function of the set of utterances")

    def test_nothing_to_score(self) -> None:
        """No utterance at all, an utterance with nothing in it, and one that could not be decoded."""
        cases: dict[str, Any] = {"no utterance": self.build()}
        if self.empty:
            cases["an empty utterance"] = self.build()
            cases["an empty utterance"].update(["e"], **{name: [value] for name, value in self.empty.items()})
        on_failure = self.build().on_failure
        if on_failure:
            cases["a failed utterance"] = self.build()
            first = {name: list(given[:1]) for name, given in self.values.items()}
            cases["a failed utterance"].update(["f"], **{**first, **{k: [v] for k, v in on_failure.items()}})
        for what, metric in cases.items():
            try:
                found = metric.compute()
            except Exception as error:
                self.fail(
                    f"{what}: compute() raises {type(error).__name__}: {error}",
                    "give 0, or None where the score is not defined: a test set may be empty",
                )
            bad = _unwritable(found)
            self.expect(
                not bad, f"{what}: {bad}", "give numbers, lists of numbers, texts, or None; never NaN"
            )

    def test_a_missing_input_is_refused(self) -> None:
        """An update without one of the inputs, or with too few values, is an error."""
        ids = [f"u{row}" for row in range(self.count)]
        for name in self.build().sources():
            for given in (
                {k: v for k, v in self.values.items() if k != name},
                {**self.values, name: list(self.values[name])[:-1]},
            ):
                try:
                    self.build().update(ids, **given)
                except Exception:
                    continue
                self.fail(
                    f"update() takes utterances with {'no' if name not in given else 'too few'} {name!r}",
                    "zip(ids, …, strict=True) notices both",
                )

    def test_records_add_up_to_the_score(self) -> None:
        """``per_utterance()`` has a record per id, from which ``ratio()`` gives the main score."""
        metric = self.scored()
        records, ratio, scores = metric.per_utterance(), metric.ratio(), metric.compute()
        bad = _unwritable(records)
        self.expect(not bad, f"per_utterance(): {bad}", "records are written as JSON")
        if not records:
            return
        wanted = [f"u{row}" for row in range(self.count)]
        names = [record.get("id") for record in records]
        self.expect(
            names == wanted, f"per_utterance() has the ids {names}", "one record per id, in their order"
        )
        if ratio is None:
            return
        above = sum(record[ratio.numerator] for record in records)
        below = len(records) if ratio.denominator is None else sum(r[ratio.denominator] for r in records)
        main = next(iter(scores.values()))
        apart = difference(main, ratio.scale * above / below, 1e-6 * max(1.0, abs(main)), "the main score")
        self.expect(not apart, f"ratio() of the records: {apart}", "compare draws records anew by ratio()")


def _unwritable(value: Any) -> str | None:
    try:
        json.dumps(value, default=_number)
    except (TypeError, ValueError) as error:
        return str(error)
    return "a number is NaN or infinite" if _holds_nan(value) else None


def _number(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} cannot be written as JSON")


def _holds_nan(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_holds_nan, value.values()))
    if isinstance(value, list | tuple):
        return any(map(_holds_nan, value))
    return isinstance(value, float) and not math.isfinite(value)
