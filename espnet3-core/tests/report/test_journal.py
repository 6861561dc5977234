"""What training logged: whole lines only, and curves as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.report.journal import Journal, thinned


def test_a_line_that_is_being_written_waits_for_its_end(experiment: Path, report: Any) -> None:
    whole = report(experiment).html
    with (experiment / "metrics.jsonl").open("a") as stream:
        stream.write('{"kind": "interval", "epoch": 3, "step": 14, "train/loss": 99.5, "lr": 1.0')
    assert report(experiment).html == whole
    with (experiment / "metrics.jsonl").open("a") as stream:
        stream.write('}\nnonsense\n{"kind": "interval", "epoch": 3, "step": 16, "train/loss": "nan"}\n')
    page = report(experiment)
    text = page.section("training").text
    assert "no records and are left out: 14." in text
    assert "Not finite, and not drawn: train/loss at step 16." in text
    assert "99.5" in page.html


def test_curves_hold_what_was_logged(experiment: Path) -> None:
    journal = Journal.read(experiment / "metrics.jsonl")
    loss, flat = journal.curves()
    assert loss.epochs == ((4, 3.0), (8, 2.0), (12, 1.5))
    assert loss.valid == ((4, 2.5), (8, 1.25), (12, 1.75))
    assert loss.intervals[0] == (2, 3.5) and loss.constant is None
    assert flat.constant == 7.0
    assert journal.waiting() == pytest.approx(0.25)
    assert journal.epoch_ends == [(0, 4), (1, 8), (2, 12)]


def test_waiting_weighs_intervals_by_their_time(tmp_path: Path) -> None:
    lines = [
        {"kind": "interval", "epoch": 0, "step": 10, "step_time": 1.0, "data_wait": 0.5},  # 10 s, 5 of them
        {"kind": "interval", "epoch": 0, "step": 40, "step_time": 3.0, "data_wait": 0.1},  # 90 s, 9 of them
    ]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Journal.read(tmp_path / "metrics.jsonl").waiting() == pytest.approx(0.14)


def test_charts_mark_the_best_validation_and_name_their_lines(experiment: Path, report: Any) -> None:
    page = report(experiment)
    figures = {node.children[0].text: node for node in page.all("figure", "chart")}
    loss = next(node for title, node in figures.items() if title.startswith("loss"))
    assert "best of epoch 1: valid 1.25 at step 8" in loss.text
    assert {node.text for node in page.all("text", "label")} == {"train", "valid"}
    assert "loss over steps: train from 3 to 1.5; valid from 2.5 to 1.75" in page.html
    assert "Always the same, and not drawn: flat = 7." in page.section("training").text
    plot = json.loads(next(n.attributes["data-plot"] for n in page.all("svg") if "data-plot" in n.attributes))
    assert dict(plot["lines"])["valid"] == [[4, "2.5"], [8, "1.25"], [12, "1.75"]]


def test_the_learning_rate_over_decades_is_logarithmic(experiment: Path, report: Any) -> None:
    page = report(experiment)
    (rate,) = (n for n in page.all("figure", "chart") if n.text.startswith("learning rate"))
    assert "logarithmic axis" in rate.text
    ticks = [node.text for node in page.all("text", "y") if node.text in rate.text]
    assert {"1e-8", "1e-6", "0.0001"} < set(ticks)


def test_thinning_keeps_every_spike() -> None:
    points = [(float(step), 1.0) for step in range(10_000)]
    points[1234] = (1234.0, 50.0)
    points[5678] = (5678.0, -3.0)
    kept = thinned(points, 100)
    assert len(kept) <= 100
    assert points[1234] in kept and points[5678] in kept
    assert kept == sorted(kept)
