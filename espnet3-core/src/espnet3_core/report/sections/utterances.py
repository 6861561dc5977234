"""The worst utterances of each test set: players, alignments, and what else is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.report.alignment import MOST_CELLS, Pair, align, units_of
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, join, missing, number_text, table
from espnet3_core.report.recordings import Recordings
from espnet3_core.report.results import Scored, TestSet, Utterance, higher_is_better
from espnet3_core.report.sections.scores import test_name, value_text

if TYPE_CHECKING:
    from espnet3_core.infer.audio import Audio

_ROWS = 1000
"""Utterances in the table of all."""

_WORDS = {"S": "substituted", "D": "deleted", "I": "inserted"}
_UNITS = {"duration": " s"}
_NOT_FACTS = ("id", "text", "error")


def utterances(evidence: Evidence) -> Iterator[Markup]:
    """A part for each test set."""
    tests = [test for test in evidence.tests if test.utterances]
    if not tests:
        yield missing("No infer stage has run yet", evidence.place.command("infer"))
        return
    if not any(test.scores for test in tests):
        yield missing(
            "No measure stage has run yet, so utterances stand in the order of the data",
            evidence.place.command("measure"),
        )
    several = len({test.inference for test in tests}) > 1
    for number, test in enumerate(tests, 1):
        with Recordings.opened(evidence.place, test.inference.name, evidence.sample_rate) as recordings:
            yield h(
                "section",
                h("h3", test_name(test, several=several), id=f"test-{number}"),
                _test_set(evidence, test, recordings, f"u{number}"),
                class_="test-set",
            )


def _test_set(evidence: Evidence, test: TestSet, recordings: Recordings, prefix: str) -> list[Markup]:
    label = test.ranking(evidence.metric)
    ranked = test.ranked(label)
    shown = ranked[: evidence.utterances]
    articles = [
        _utterance(
            test, item, label, recordings, evidence, f"{prefix}-{number}", number <= evidence.media.audio
        )
        for number, item in enumerate(shown, 1)
    ]
    parts = [h("p", _order(test, label, len(shown)), class_="note")]
    for problem, ids in recordings.problems.items():
        parts.append(
            h("p", f"Recordings of {len(ids)} utterances cannot be shown: {problem}", class_="warning")
        )
    if any('class="alignment"' in article for article in articles):
        parts.append(_key())
    return [*parts, *articles, _all(test, ranked)]


def _order(test: TestSet, label: str | None, shown: int) -> str:
    count = f"{shown} of {len(test.utterances):,} utterances"
    if label is None:
        return f"{count}, in the order of the data: no metric scores single utterances."
    direction = "lowest" if higher_is_better(test.scores[label]) else "highest"
    return f"{count}, the {direction} {label} first."


def _key() -> Markup:
    """What the marks of alignments mean."""
    marks = [h("span", h("b", edit, class_=f"edit-{edit}"), f" {words}") for edit, words in _WORDS.items()]
    return h("p", marks, class_="note key")


def _utterance(
    test: TestSet,
    item: Utterance,
    label: str | None,
    recordings: Recordings,
    evidence: Evidence,
    anchor: str,
    with_audio: bool,
) -> Markup:
    scored = item.scores.get(label, Scored({})) if label else Scored({})
    audio, texts = recordings.item(test.name, item.id, audio=with_audio)
    alignment = _alignment(item, label)
    told = {scored.record.get("reference"), scored.record.get("hypothesis")}
    lines = [
        (f"{name} of the test set", value)
        for name, value in texts.items()
        if name == "text" and value not in told
    ]
    if alignment is None and isinstance(item.result.get("text"), str):
        lines.append(("result", item.result["text"]))
    return h(
        "article",
        h("h4", item.id, h("span", _score_words(label, scored, test), class_="score")),
        h("p", f"failed: {item.result['error']}", class_="warning") if "error" in item.result else None,
        _players(test, item, audio, evidence) if with_audio else None,
        alignment,
        [h("p", h("b", name), " ", h("span", value, dir="auto"), class_="text") for name, value in lines],
        _facts(test, item, label),
        id=anchor,
    )


def _score_words(label: str | None, scored: Scored, test: TestSet) -> str:
    if label is None or scored.value is None:
        return ""
    words = f"{label} {value_text(test.scores[label], scored.value)}"
    ratio = test.scores[label]["ratio"]
    whole = isinstance(scored.errors, int) and isinstance(scored.of, int) and ratio.get("denominator")
    return f"{words} ({scored.errors:,} of {scored.of:,})" if whole else words


def _players(test: TestSet, item: Utterance, audio: Mapping[str, Audio], evidence: Evidence) -> Markup | None:
    """What the model made beside what was recorded."""
    from espnet3_core.infer.audio import is_stored, stored_audio

    players = []
    for name, value in item.result.items():
        if is_stored(value):
            try:
                players.append(evidence.media.player(stored_audio(value, test.directory), f"model: {name}"))
            except UserError as error:
                players.append(h("p", error.message, class_="missing"))
    players += [evidence.media.player(value, f"recording: {name}") for name, value in audio.items()]
    return h("div", players, class_="players") if players else None


def _alignment(item: Utterance, label: str | None) -> Markup | None:
    """Reference and hypothesis of the ranking metric, else of the first that keeps both."""
    for scored in (item.scores.get(label or ""), *item.scores.values()):
        if scored is None:
            continue
        reference, hypothesis = scored.record.get("reference"), scored.record.get("hypothesis")
        if isinstance(reference, str) and isinstance(hypothesis, str):
            return alignment(reference, hypothesis, scored.of)
    return None


def alignment(reference: str, hypothesis: str, counted: float | None) -> Markup:
    """Two texts one above the other; edits are marked by letter, line and colour."""
    one, two = units_of(reference, hypothesis, counted)
    if len(one) * len(two) > MOST_CELLS:
        return join(
            [
                h("p", h("b", "reference"), " ", h("span", reference, dir="auto"), class_="text"),
                h("p", h("b", "hypothesis"), " ", h("span", hypothesis, dir="auto"), class_="text"),
                h("p", "Too long to be aligned here.", class_="note"),
            ]
        )
    heads = h("span", h("b", "reference"), h("b", "hypothesis"), class_="pair heads")
    pairs = [_pair(pair) for pair in align(one, two)]
    return h("div", heads, pairs, class_="alignment", dir="auto")


def _pair(pair: Pair) -> Markup:
    if pair.edit == "=":
        return h("span", h("span", pair.reference), h("span", pair.hypothesis), class_="pair")
    return h(
        "span",
        h("del", pair.reference) if pair.reference else h("span", "·", class_="gap"),
        h("ins", pair.hypothesis) if pair.hypothesis else h("span", "·", class_="gap"),
        h("abbr", pair.edit, title=_WORDS[pair.edit]),
        class_=f"pair edit-{pair.edit}",
    )


def _facts(test: TestSet, item: Utterance, label: str | None) -> Markup | None:
    """Other scores, and plain values of the result."""
    others = [
        (name, value_text(test.scores[name], scored.value))
        for name, scored in item.scores.items()
        if name != label and scored.value is not None
    ]
    plain = [
        (name, value if isinstance(value, str) else number_text(value) + _UNITS.get(name, ""))
        for name, value in item.result.items()
        if name not in (*_NOT_FACTS, *item.scores)
        and isinstance(value, (str, int, float))
        and not isinstance(value, bool)
    ]
    told = [h("span", name.replace("_", " "), " ", h("b", value)) for name, value in others + plain]
    return h("p", told, class_="facts") if told else None


def _all(test: TestSet, ranked: Sequence[Utterance]) -> Markup:
    """Every utterance with its score by every metric, and its text, for sorting."""
    values = {label: [_value(item, label) for item in ranked[:_ROWS]] for label in test.scores}
    columns: dict[str, list[Any]] = {
        label: found for label, found in values.items() if any(v != "" for v in found)
    }
    texts = [str(item.result.get("text") or "") for item in ranked[:_ROWS]]
    columns |= {"text": texts} if any(texts) else {}
    ids = [item.id for item in ranked[:_ROWS]]
    what = f"All {len(ranked):,}" if len(ids) == len(ranked) else f"The first {len(ids):,} of {len(ranked):,}"
    return h(
        "details",
        h("summary", f"{what} utterances with their scores"),
        table(["utterance", *columns], zip(ids, *columns.values(), strict=True), class_="sortable"),
    )


def _value(item: Utterance, label: str) -> float | str:
    scored = item.scores.get(label)
    return "" if scored is None or scored.value is None else scored.value
