"""Curves of training and validation, and learning rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from espnet3_core.report.chart import FAINT, Chart, Series, draw
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, missing, number_text, table
from espnet3_core.report.journal import Curve, Journal, Point

_ROWS = 1000
"""Epochs in the table of values; the last are shown."""


def training(evidence: Evidence) -> Iterator[Markup]:
    """Charts, notes of what they leave out, and the same values as a table."""
    journal = evidence.journal
    curves = journal.curves()
    if not curves:
        yield missing("Training has not logged anything yet", evidence.place.command("train"))
        return
    twins = {
        curve.name: other.name
        for place, curve in enumerate(curves)
        for other in curves[:place][::-1]
        if curve.points == other.points
    }
    drawn = [curve for curve in curves if curve.constant is None and curve.name not in twins]
    if any(len(curve.epochs) > 1 and curve.intervals for curve in drawn):
        yield h(
            "p",
            "Strong lines are means of whole epochs, faint ones of the steps between two log lines.",
            class_="note",
        )
    charts = [draw(curve_chart(curve, evidence)) for curve in drawn]
    charts += [draw(chart) for chart in rate_charts(journal)]
    yield h("div", charts, class_="charts")
    yield from _notes(journal, [curve for curve in curves if curve.constant is not None], twins)
    yield from _values(journal)


def curve_chart(curve: Curve, evidence: Evidence) -> Chart:
    """Training and validation of one value; means of epochs as the line, shorter means faint behind it."""
    journal = evidence.journal
    series = []
    if len(curve.epochs) > 1:
        series.append(Series("", curve.intervals, FAINT, told="train, some steps"))
        series.append(Series("train", curve.epochs, "train", told="train, epoch"))
    else:
        series.append(Series("train", curve.intervals or curve.epochs, "train"))
    if curve.valid:
        series.append(Series("valid", curve.valid, "valid", dots=True))
    return Chart(
        curve.name,
        [line for line in series if line.points],
        journal.epoch_ends,
        best=_best(curve, evidence),
    )


def _best(curve: Curve, evidence: Evidence) -> tuple[Point, str] | None:
    mode = evidence.monitors.get(f"valid/{curve.name}")
    if mode is None or not curve.valid:
        return None
    best = (max if mode == "max" else min)(curve.valid, key=lambda point: point[1])
    epoch = next(
        (int(r["epoch"]) for r in evidence.journal.of("valid") if int(r["step"]) == int(best[0])), None
    )
    head = f"best of epoch {epoch}" if epoch is not None else "best"
    return best, f"{head}: valid {number_text(best[1])} at step {int(best[0]):,}"


def rate_charts(journal: Journal) -> Iterator[Chart]:
    """Learning rates; those of named optimizers together."""
    rates = {name: points for name, points in journal.rates().items() if points}
    if not rates:
        return
    lines = [
        Series(name.partition("/")[2], points, f"line-{place % 4}")
        for place, (name, points) in enumerate(rates.items())
    ]
    yield Chart("learning rate", lines, journal.epoch_ends)


def _notes(journal: Journal, constant: Sequence[Curve], twins: Mapping[str, str]) -> Iterator[Markup]:
    for name, other in twins.items():
        if name not in {curve.name for curve in constant}:
            yield h("p", f"Equal to {other}, and not drawn: {name}.", class_="note")
    if constant:
        told = ", ".join(f"{curve.name} = {number_text(curve.constant)}" for curve in constant)
        yield h("p", f"Always the same, and not drawn: {told}.", class_="note")
    if bad := journal.not_finite():
        told = ", ".join(f"{key} at step {step:,}" for key, step in bad[:5])
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        yield h("p", f"Not finite, and not drawn: {told}{more}.", class_="warning")
    if journal.broken:
        lines = ", ".join(map(str, journal.broken[:5]))
        yield h(
            "p", f"Lines of metrics.jsonl that are no records and are left out: {lines}.", class_="warning"
        )


def _values(journal: Journal) -> Iterator[Markup]:
    """A row per epoch."""
    epochs = journal.of("epoch")
    if not epochs:
        return
    keys = list(
        dict.fromkeys(key for record in epochs for key in record if key.startswith(("train/", "valid/")))
    )
    keys.sort(key=lambda key: (key.partition("/")[2] != "loss", key.partition("/")[2], key))
    rows = [
        [record["epoch"], record["step"], *(record.get(key, "") for key in keys), record.get("seconds", "")]
        for record in epochs[-_ROWS:]
    ]
    shown = f"the last {_ROWS} of {len(epochs)} epochs" if len(epochs) > _ROWS else f"{len(epochs)} epochs"
    yield h(
        "details",
        h("summary", f"Values of {shown} as a table"),
        table(["epoch", "step", *keys, "seconds"], rows, class_="values"),
    )
