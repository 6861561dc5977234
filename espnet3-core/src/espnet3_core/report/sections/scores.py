"""Scores of the test sets with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espnet3_core.measure.report import parts
from espnet3_core.recipe.status import duration
from espnet3_core.report.axes import Axis
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, missing, number_text, table
from espnet3_core.report.results import TestSet, higher_is_better, is_percent, main_score

_WIDTH, _HEIGHT = 150, 18


def scores(evidence: Evidence) -> Iterator[Markup]:
    """A table of all metrics and test sets, then what stands behind them."""
    tests = [test for test in evidence.tests if test.scores]
    if not tests:
        stage = "measure" if evidence.tests else "infer"
        yield missing(f"No {stage} stage has run yet", evidence.place.command(stage))
        return
    labels = dict.fromkeys(label for test in tests for label in test.scores)
    several = len({test.inference for test in tests}) > 1
    rows = []
    for label in labels:
        mine = [test for test in tests if label in test.scores]
        axis = _axis([test.scores[label] for test in mine])
        for test in mine:
            rows.append(_row(label, test, axis, several=several))
    headings = ["metric", "test set", "score", "interval", "", "details"]
    yield table(headings, rows, class_="scores")
    for test in tests:
        yield from _behind(test)
    for test in evidence.tests:
        if test.problem:
            yield h("p", test.problem, class_="warning")


def value_text(values: Mapping[str, Any], value: float | None) -> str:
    """A score with its unit, where it has one."""
    if value is None:
        return "undefined"
    return f"{value:.2f} %" if is_percent(values) else number_text(value)


def test_name(test: TestSet, *, several: bool) -> str:
    """A test set, with its inference configuration where there are several."""
    return f"{test.name} ({test.inference.name})" if several else test.name


def interval_text(values: Mapping[str, Any]) -> str:
    """The interval with its confidence and what was drawn again; empty where the metric gives none."""
    if not values.get("interval"):
        return ""
    low, high = (value_text(values, end) for end in values["interval"])
    level = (
        f" ({values['level']:g} %, by {values.get('interval_by', 'utterance')})" if "level" in values else ""
    )
    return f"{low.removesuffix(' %')} to {high}{level}"


def _row(label: str, test: TestSet, axis: Axis | None, *, several: bool) -> list[Any]:
    values = test.scores[label]
    direction = "higher is better" if higher_is_better(values) else ""
    details = ", ".join(f"{key.replace('_', ' ')} {_plain(value)}" for key, value in parts(values)[1].items())
    return [
        h("b", label),
        test_name(test, several=several),
        h("span", value_text(values, main_score(values)), class_="number", data_value=main_score(values)),
        interval_text(values),
        _bar(values, axis) if axis else "",
        "; ".join(filter(None, [direction, details])),
    ]


def _plain(value: Any) -> str:
    return number_text(value) if isinstance(value, (int, float)) or value is None else str(value)


def _axis(scores: Sequence[Mapping[str, Any]]) -> Axis | None:
    """A scale that rows of one metric share, where there are several to compare."""
    ends = [end for values in scores for end in values.get("interval") or ()]
    return Axis.over(ends, 4, _WIDTH - 4) if len(scores) > 1 and ends and max(ends) > min(ends) else None


def _bar(values: Mapping[str, Any], axis: Axis) -> Markup | str:
    score, interval = main_score(values), values.get("interval")
    if score is None or not interval or not all(map(axis.shows, [score, *interval])):
        return ""
    low, high, middle = (round(axis.place(value), 1) for value in (*interval, score))
    return h(
        "svg",
        h("line", x1=low, x2=high, y1=_HEIGHT / 2, y2=_HEIGHT / 2),
        h("circle", cx=middle, cy=_HEIGHT / 2, r=4),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}", class_="interval", role="img", aria_label=interval_text(values),
    )  # fmt: skip


def _behind(test: TestSet) -> Iterator[Markup]:
    """What made the results: weights, speed, failures, what was seen in training."""
    summary = test.summary
    facts = []
    if "utterances" in summary:
        facts.append(f"{summary['utterances']:,} utterances")
    if summary.get("duration"):
        facts.append(f"{duration(summary['duration'])} of audio")
    if summary.get("rtf"):
        facts.append(f"real-time factor {number_text(summary['rtf'])}")
    if summary.get("checkpoint"):
        facts.append(f"weights {str(summary['checkpoint']).rpartition('/')[2]}")
    facts += _training_words(summary.get("training") or {})
    if facts:
        yield h("p", h("b", f"{test.inference.name}, {test.name}: "), ", ".join(facts), ".", class_="note")
    if summary.get("failed"):
        yield h("p", f"{summary['failed']} utterances of {test.name} could not be decoded.", class_="warning")
    seen = [values.get("provenance", {}).get("seen_in_training") for values in test.scores.values()]
    if most := max((count for count in seen if count), default=0):
        yield h("p", f"{most} utterances of {test.name} are in the training set.", class_="warning")


def _training_words(facts: Mapping[str, Any]) -> Iterator[str]:
    if "updates" in facts:
        yield f"{facts['updates']:,} updates"
    if "averaged" in facts:
        yield f"average of {facts['averaged']} models"
