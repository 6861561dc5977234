"""Two experiments on the same test sets: the difference of their scores, and how sure it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from espnet3_core.errors import UserError
from espnet3_core.measure.bootstrap import Difference, paired_difference
from espnet3_core.measure.config import IntervalConfig
from espnet3_core.measure.metric import Ratio
from espnet3_core.measure.results import names, read_results
from espnet3_core.names import did_you_mean

SCORES = "metrics.json"
RESAMPLES = 10_000


@dataclass(frozen=True)
class Row:
    """One metric on one test set.

    Attributes:
        metric: Its id.
        test: The test set.
        scores: Main scores of both experiments.
        difference: Second less first; None when they cannot be compared.
        drawn: How many things were drawn again, and what they are: ``120 utterances``.
        problems: Why they cannot be compared.
        warnings: What else to know.
    """

    metric: str
    test: str
    scores: tuple[float | None, float | None]
    difference: Difference | None = None
    drawn: str = ""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        found: dict[str, Any] = {"metric": self.metric, "test_set": self.test}
        found |= {"first": self.scores[0], "second": self.scores[1], "drawn": self.drawn}
        found |= {"problems": list(self.problems), "warnings": list(self.warnings)}
        if self.difference is not None:
            found |= {"difference": self.difference.value, "interval": list(self.difference.interval)}
            found["p_value"] = self.difference.p_value
        return found


@dataclass(frozen=True)
class Scored:
    """The scores of an inference configuration.

    Attributes:
        directory: Its folder.
        scores: ``metrics.json``: metric id, test set, values.
    """

    directory: Path
    scores: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> Scored:
        """Those of an experiment with one inference configuration, or of the folder of one of several.

        Raises:
            UserError: There are none, or several.
        """
        found = [path / SCORES] if (path / SCORES).is_file() else sorted(path.glob(f"*/{SCORES}"))
        if not found:
            raise UserError(
                f"{path}: there are no scores ({SCORES})" if path.exists() else f"{path} does not exist",
                hint="name an experiment, exp/<tag>, whose stage measure has run",
            )
        if len(found) > 1:
            raise UserError(
                f"{path}: there are {len(found)} inference configurations",
                hint=f"name one: {', '.join(str(file.parent) for file in found)}",
            )
        try:
            return cls(found[0].parent, json.loads(found[0].read_text(encoding="utf-8")))
        except ValueError as error:
            raise UserError(f"{found[0]}: not JSON: {error}", hint="run the stage measure again") from None

    def records(self, metric: str, test: str) -> dict[str, dict[str, Any]]:
        """What the metric kept of each utterance, by id.

        Raises:
            UserError: The file is gone or broken.
        """
        path = self.directory / test / f"{metric}.jsonl"
        if not path.is_file():
            raise UserError(f"{path} is missing", hint="run the stage measure again with --force")
        return {record["id"]: record for record in read_results(path)}


def compare(first: Scored, second: Scored, metric: str | None = None, *, level: float = 95.0) -> list[Row]:
    """Compare all metrics and test sets that both experiments have.

    Args:
        first: What is compared with.
        second: What is compared.
        metric: Only this one.
        level: Confidence of the intervals in percent.

    Raises:
        UserError: They have no metric and test set in common, or not this one.
    """
    labels = [label for label in first.scores if label in second.scores]
    if metric is not None and metric not in labels:
        known = sorted({*first.scores, *second.scores})
        raise UserError(
            f"metric {metric!r} is not in both experiments",
            hint=did_you_mean(metric, labels, otherwise=f"they have {', '.join(known)}"),
        )
    rows = [
        _row(first, second, label, test, level)
        for label in (labels if metric is None else [metric])
        for test in first.scores[label]
        if test in second.scores[label]
    ]
    if not rows:
        raise UserError(
            f"{first.directory} and {second.directory} have no metric on the same test set in common",
            hint="run the stage measure of both with the same conf/metrics.yaml",
        )
    return rows


def _row(first: Scored, second: Scored, metric: str, test: str, level: float) -> Row:
    one, two = first.scores[metric][test], second.scores[metric][test]
    row = Row(metric, test, (_main(one), _main(two)))
    problems = [*_other_metric(one, two)]
    if not problems:
        ratio = Ratio(**{**one["ratio"], "same": tuple(one["ratio"]["same"])})
        records = first.records(metric, test), second.records(metric, test)
        problems = [*_other_references(*records, ratio)]
    if problems:
        return Row(metric, test, row.scores, problems=tuple(problems))
    counts = _counts(*records, ratio)
    found = paired_difference(counts, IntervalConfig(resamples=RESAMPLES, level=level))
    if found is None:
        return Row(metric, test, row.scores, problems=("the references are empty",))
    low, high = found.interval
    scaled = Difference(found.value * ratio.scale, (low * ratio.scale, high * ratio.scale), found.p_value)
    return Row(
        metric, test, row.scores, scaled, f"{len(counts)} x {ratio.by}", (), tuple(_warnings(one, two))
    )


def _main(values: Mapping[str, Any]) -> float | None:
    found = next(iter(values.values()), None)
    return float(found) if isinstance(found, (int, float)) else None


def _other_metric(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    """How the ways of scoring differ."""
    if not one.get("ratio") or not two.get("ratio"):
        yield "the metric keeps no counts of utterances (or was measured by an older version)"
        return
    for key, words in (("metric", "metrics"), ("version", "versions of the metric"), ("ratio", "counts")):
        if one.get(key) != two.get(key):
            yield f"other {words}: {_short(one.get(key))} and {_short(two.get(key))}"
    if one.get("normalizers") != two.get("normalizers"):
        yield f"other normalizers: {_chain(one)} and {_chain(two)}"


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return str(value)


def _chain(values: Mapping[str, Any]) -> str:
    steps = [f"{step['name']} {step['version']}" for step in values.get("normalizers") or ()]
    return ", ".join(steps) or "none"


def _other_references(
    one: Mapping[str, Mapping[str, Any]], two: Mapping[str, Mapping[str, Any]], ratio: Ratio
) -> Iterator[str]:
    """How the test sets differ."""
    for side, mine, other in (("first", one, two), ("second", two, one)):
        alone = [name for name in mine if name not in other]
        if alone:
            yield f"{len(alone)} utterances are in the {side} only: {names(alone)}"
    for key in ratio.same:
        differ = [name for name in one if name in two and one[name].get(key) != two[name].get(key)]
        if differ:
            values = one[differ[0]].get(key), two[differ[0]].get(key)
            yield (
                f"another {key} for {len(differ)} utterances: {names(differ)}; "
                f"{differ[0]}: {values[0]!r} and {values[1]!r}"
            )


def _counts(
    one: Mapping[str, Mapping[str, Any]], two: Mapping[str, Mapping[str, Any]], ratio: Ratio
) -> list[Sequence[float]]:
    """Numerators and denominators of both, by what is drawn: ``(units, 4)``."""
    sums: dict[str, Any] = {}
    for place, records in enumerate((one, two)):
        for name, record in records.items():
            own = [name, record[ratio.numerator], record[ratio.denominator] if ratio.denominator else 1]
            for unit, numerator, denominator in record.get("units", [own]):
                total = sums.setdefault(json.dumps(unit), np.zeros(4))
                total[2 * place : 2 * place + 2] += numerator, denominator
    return list(sums.values())


def _warnings(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    """What does not forbid to compare, but ought to be known."""
    mine, other = one.get("provenance", {}), two.get("provenance", {})
    for key, words in (("data", "test data (audio, or settings of how it is read)"), ("scorer", "scorers")):
        if mine.get(key) != other.get(key):
            yield f"other {words}: {str(mine.get(key))[:40]} and {str(other.get(key))[:40]}"
    for side, values in (("first", one), ("second", two)):
        if values.get("failed"):
            yield f"{values['failed']} utterances of the {side} could not be decoded"
        if seen := values.get("provenance", {}).get("seen_in_training"):
            yield f"{seen} utterances are in the training set of the {side}"
