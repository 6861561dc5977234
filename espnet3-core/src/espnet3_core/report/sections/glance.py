"""The first thing on the page: what it is, how far it is, how good it is."""

from __future__ import annotations

from collections.abc import Iterator

from espnet3_core.recipe.status import duration
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, number_text
from espnet3_core.report.results import main_score
from espnet3_core.report.sections.scores import interval_text, test_name, value_text
from espnet3_core.report.sections.timing import state_words

_SCORES = 6


def glance(evidence: Evidence) -> Iterator[Markup]:
    """A few cards."""
    cards = [*_training(evidence), *_scores(evidence)]
    yield (
        h("div", [_card(*card) for card in cards], class_="cards")
        if cards
        else h("p", "Nothing has run yet.")
    )


def _card(name: str, value: str, more: str) -> Markup:
    return h(
        "div",
        h("span", name, class_="name"),
        h("b", value),
        h("span", more, class_="more"),
        class_="card",
    )


def _training(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    record = evidence.stages.get("train")
    model = evidence.group("model")
    if name := model.get("name") or model.get("_target_"):
        yield "model", str(name), ""
    if record is not None:
        spent = duration(record.seconds) if record.seconds else ""
        yield "training", state_words(record), spent
    journal = evidence.journal
    if journal.records:
        epochs = len(journal.of("epoch"))
        yield "steps", f"{journal.steps:,}", f"{epochs:,} epoch{'s' if epochs != 1 else ''}"
    for monitor, mode in evidence.monitors.items():
        if points := list(journal.points("valid", monitor)):
            step, value = (max if mode == "max" else min)(points, key=lambda point: point[1])
            yield f"best {monitor}", number_text(value), f"at step {int(step):,}"


def _scores(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    tests = [test for test in evidence.tests if test.scores]
    several = len({test.inference for test in tests}) > 1
    found = [
        (
            f"{label} of {test_name(test, several=several)}",
            value_text(values, main_score(values)),
            interval_text(values).partition(" (")[0],
        )
        for test in tests
        for label, values in test.scores.items()
    ]
    yield from found[:_SCORES]
