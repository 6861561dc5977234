"""Stages with their times, and what bounds the training."""

from __future__ import annotations

from collections.abc import Iterator

from espnet3_core.recipe.records import StageRecord
from espnet3_core.recipe.status import duration
from espnet3_core.report.chart import Chart, Series, draw
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, missing, table
from espnet3_core.report.journal import SPEEDS, bound_words

_SHARES = ("data_wait", "padding")


def timing(evidence: Evidence) -> Iterator[Markup]:
    """A row per stage, a sentence, and charts of speed."""
    if evidence.stages:
        rows = [
            [
                name,
                state_words(record),
                _when(record.started),
                duration(record.seconds) if record.seconds else "",
            ]
            for name, record in evidence.stages.items()
        ]
        yield table(["stage", "state", "started (UTC)", "took"], rows, class_="stages")
    else:
        yield missing("No stage has left a record", evidence.place.command("train"))
    journal = evidence.journal
    waiting = journal.waiting()
    if waiting is None:
        return
    epochs = journal.of("epoch")
    each = f" An epoch took {duration(journal.epoch_seconds() / len(epochs))} on average." if epochs else ""
    yield h("p", f"Training is {bound_words(waiting)}.{each}", class_="verdict")
    charts = []
    for key, title in SPEEDS.items():
        if points := tuple(journal.points("interval", key)):
            percent = key in _SHARES
            line = Series("", points, "train")
            charts.append(draw(Chart(title, [line], journal.epoch_ends, zero=True, percent=percent)))
    yield h("div", charts, class_="charts small")


def state_words(record: StageRecord) -> str:
    """What became of a stage."""
    if record.state == "running" and not record.alive:
        return "stopped before its end"
    return f"failed: {record.error}" if record.error else record.state


def _when(time: str) -> str:
    return time.replace("T", " ")[:16]
