"""Results and scores of an experiment, joined by utterance and ranked, the worst first."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError

SCORES = "metrics.json"
RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Scored:
    """What a metric says of an utterance.

    Attributes:
        record: What the metric kept of it.
        value: Its own score on the scale of the metric's; None where the metric gives none.
        errors: Numerator of the score.
        of: Denominator of the score.
    """

    record: Mapping[str, Any]
    value: float | None = None
    errors: float | None = None
    of: float | None = None


@dataclass(frozen=True)
class Utterance:
    """An utterance of a test set.

    Attributes:
        id: Its id.
        result: What the stage infer wrote of it.
        scores: By metric.
    """

    id: str
    result: Mapping[str, Any]
    scores: Mapping[str, Scored] = field(default_factory=dict)


@dataclass(frozen=True)
class TestSet:
    """A test set as an inference configuration decoded it.

    Attributes:
        inference: Folder of the inference configuration.
        name: Name of the test set.
        utterances: In the order of the data.
        scores: Values of each metric, as in ``metrics.json``.
        summary: What the stage infer noted of the whole.
        problem: Why results or scores could not be read.
    """

    inference: Path
    name: str
    utterances: tuple[Utterance, ...] = ()
    scores: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def directory(self) -> Path:
        """Folder of its results."""
        return self.inference / self.name

    def ranking(self, wanted: str | None = None) -> str | None:
        """The metric by which utterances are ranked: the wanted one, else the first that can."""
        able = [
            label
            for label in self.scores
            if any(label in item.scores and item.scores[label].value is not None for item in self.utterances)
        ]
        return wanted if wanted in able else next(iter(able), None)

    def ranked(self, label: str | None) -> list[Utterance]:
        """The worst first: what failed, then by score; more errors before fewer, then by id."""
        if label is None:
            return list(self.utterances)
        sign = 1.0 if higher_is_better(self.scores[label]) else -1.0

        def key(item: Utterance) -> tuple[Any, ...]:
            scored = item.scores.get(label, Scored({}))
            unscored = scored.value is None
            value = 0.0 if scored.value is None else sign * scored.value
            return (
                "error" not in item.result,
                unscored,
                value,
                sign * (scored.errors or 0),
                natural(item.id),
            )

        return sorted(self.utterances, key=key)


def main_score(values: Mapping[str, Any]) -> float | None:
    """The score that a metric is named by: its first value."""
    found = next(iter(values.values()), None)
    return float(found) if isinstance(found, (int, float)) else None


def higher_is_better(values: Mapping[str, Any]) -> bool:
    """Whether a higher score is better, as the metric says of itself."""
    return values.get("better") == "higher"


def is_percent(values: Mapping[str, Any]) -> bool:
    """Whether a score is in percent."""
    return (values.get("ratio") or {}).get("scale") == 100.0


def natural(name: str) -> tuple[tuple[float, str], ...]:
    """A key that sorts ``u2`` before ``u10``: numbers by their length, then by their digits."""
    parts = enumerate(re.split(r"(\d+)", name))  # text and digits in turn
    return tuple(
        (len(part.lstrip("0")), part.lstrip("0")) if place % 2 else (math.inf, part) for place, part in parts
    )


def read_test_sets(experiment: Path) -> list[TestSet]:
    """All test sets of all inference configurations of an experiment."""
    folders = {path.parent.parent for path in experiment.glob(f"*/*/{RESULTS}")}
    folders |= {path.parent for path in experiment.glob(f"*/{SCORES}")}
    return [found for folder in sorted(folders) for found in _of_inference(folder)]


def _of_inference(folder: Path) -> Iterator[TestSet]:
    from espnet3_core.measure.stage import read_scores

    scores = read_scores(folder / SCORES)
    names = [path.parent.name for path in sorted(folder.glob(f"*/{RESULTS}"))]
    names += [test for tests in scores.values() for test in tests if test not in names]
    for name in dict.fromkeys(names):
        mine = {label: tests[name] for label, tests in scores.items() if name in tests}
        yield _read(folder, name, mine)


def _read(folder: Path, name: str, scores: Mapping[str, Mapping[str, Any]]) -> TestSet:
    from espnet3_core.measure.results import read_results

    summary = _json(folder / name / "summary.json")
    try:
        results = read_results(folder / name / RESULTS)
        kept = {
            label: {record["id"]: record for record in read_results(file)}
            for label in scores
            if (file := folder / name / f"{label}.jsonl").is_file()
        }
    except UserError as error:
        return TestSet(folder, name, scores=scores, summary=summary, problem=error.message)
    utterances = tuple(
        Utterance(
            result["id"],
            result,
            {
                label: scored(records[result["id"]], scores[label])
                for label, records in kept.items()
                if result["id"] in records
            },
        )
        for result in results
    )
    return TestSet(folder, name, utterances, scores, summary)


def scored(record: Mapping[str, Any], values: Mapping[str, Any]) -> Scored:
    """An utterance's own score, by how the metric's main score comes from the records."""
    ratio = values.get("ratio")
    if not ratio:
        return Scored(record)
    above = record.get(ratio["numerator"])
    below = record.get(ratio["denominator"]) if ratio.get("denominator") else 1
    if not isinstance(above, (int, float)) or not isinstance(below, (int, float)):
        return Scored(record)
    if not below:
        return Scored(record, math.inf if above else None, above, below)
    return Scored(record, ratio.get("scale", 1.0) * above / below, above, below)


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
