"""``espnet3 compare`` on files as the stage measure writes them, with a metric that core does not know."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., tuple[int, str, str]]

VALUES: dict[str, Any] = {
    "rate": 0.0,
    "failed": 0,
    "metric": "acme/rate",
    "version": "1",
    "normalizers": [{"name": "lower", "version": "1"}],
    "ratio": {
        "numerator": "wrong",
        "denominator": "size",
        "scale": 100.0,
        "same": ["truth"],
        "by": "utterance",
    },
    "provenance": {
        "data": "d1",
        "scorer": "acme 1.0",
        "training": {
            "updates": 1200,
            "averaged": 3,
            "effective_batch": {"utterances": 12.5, "seconds": 60.0},
        },
    },
}


class Experiment:
    """An experiment's folder with scores of one metric on one test set."""

    def __init__(self, directory: Path, wrong: np.ndarray, size: np.ndarray) -> None:
        self.directory = directory
        self.values = copy.deepcopy(VALUES) | {"rate": 100 * float(wrong.sum() / size.sum())}
        self.records: list[dict[str, Any]] = [
            {"id": f"u{number}", "wrong": int(w), "size": int(s), "truth": f"text {number}"}
            for number, (w, s) in enumerate(zip(wrong, size, strict=True))
        ]

    def write(self, inference: str = "inference", test: str = "eval") -> str:
        folder = self.directory / inference / test
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "metrics.json").write_text(json.dumps({"rate": {test: self.values}}))
        (folder / "rate.jsonl").write_text("".join(json.dumps(record) + "\n" for record in self.records))
        return str(self.directory)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Experiment, Experiment]:
    rng = np.random.default_rng(0)
    size = rng.integers(5, 20, 80)
    hard = rng.beta(1, 5, 80)
    first, second = rng.binomial(size, hard), rng.binomial(size, 0.6 * hard)
    return Experiment(tmp_path / "a", first, size), Experiment(tmp_path / "b", second, size)


def test_the_table_and_json_agree(pair: tuple[Experiment, Experiment], run_command: Command) -> None:
    words = [experiment.write() for experiment in pair]
    code, out, err = run_command("compare", *words)
    assert (code, err) == (0, "")
    assert "1,200 updates, 12.5 utterances each, 60 s each, average of 3 models" in out
    code, text, _ = run_command("compare", *words, "--json", "--metric", "rate")
    (row,) = json.loads(text)["rows"]
    assert code == 0
    assert row["first"] == pair[0].values["rate"]
    assert row["difference"] == pytest.approx(pair[1].values["rate"] - pair[0].values["rate"])
    assert row["interval"][0] < row["difference"] < row["interval"][1] < 0
    assert row["p_value"] < 0.01
    assert row["drawn"] == "80 x utterance"
    assert row["provenance"][0]["training"]["updates"] == 1200
    assert f"{row['difference']:+.2f}" in out


def test_the_unit_that_the_metric_declares_is_drawn(
    pair: tuple[Experiment, Experiment], run_command: Command
) -> None:
    """All utterances of a speaker together; one utterance shared by two speakers."""
    for experiment in pair:
        experiment.values["ratio"]["by"] = "speaker"
        for number, record in enumerate(experiment.records):
            record["units"] = [[f"s{number % 10}", record["wrong"], record["size"]]]
        shared = experiment.records[0]
        shared["units"] = [["s0", shared["wrong"], 1], ["s1", 0, shared["size"] - 1]]
    words = [experiment.write() for experiment in pair]
    (row,) = json.loads(run_command("compare", *words, "--json")[1])["rows"]
    assert row["drawn"] == "10 x speaker"
    assert row["difference"] == pytest.approx(pair[1].values["rate"] - pair[0].values["rate"])


def test_other_references_are_refused(pair: tuple[Experiment, Experiment], run_command: Command) -> None:
    first, second = pair
    second.records[3]["truth"] = "Text 3"
    del second.records[7], first.records[5]
    code, out, err = run_command("compare", first.write(), second.write())
    assert code == 2
    assert "1 utterances are in the first only: u7" in err
    assert "1 utterances are in the second only: u5" in err
    assert "another truth for 1 utterances: u3; u3: 'text 3' and 'Text 3'" in err
    assert "+" not in out.splitlines()[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"normalizers": []}, "other normalizers: lower 1 and none"),
        ({"version": "2"}, "other versions of the metric: 1 and 2"),
        ({"metric": "acme/other"}, "other metrics: acme/rate and acme/other"),
        ({"ratio": None}, "keeps no counts"),
        ({"ratio": VALUES["ratio"] | {"by": "speaker"}}, "by utterance and numerator wrong"),
    ],
)
def test_other_ways_of_scoring_are_refused(
    pair: tuple[Experiment, Experiment], run_command: Command, change: dict[str, Any], message: str
) -> None:
    pair[1].values |= change
    code, _, err = run_command("compare", *(experiment.write() for experiment in pair))
    assert code == 2
    assert message in err


def test_what_makes_numbers_doubtful_is_told(
    pair: tuple[Experiment, Experiment], run_command: Command
) -> None:
    pair[1].values["failed"] = 2
    pair[1].values["provenance"] |= {"data": "d2", "seen_in_training": 5}
    code, out, err = run_command("compare", *(experiment.write() for experiment in pair))
    assert code == 0
    assert "rate of eval: warning: other test data" in err
    assert "2 utterances of the second could not be decoded" in err
    assert "5 utterances are in the training set of the second" in err


def test_records_that_are_gone(pair: tuple[Experiment, Experiment], run_command: Command) -> None:
    words = [experiment.write() for experiment in pair]
    (pair[1].directory / "inference/eval/rate.jsonl").unlink()
    code, _, err = run_command("compare", *words)
    assert code == 2
    assert "rate.jsonl is missing" in err and "stage measure" in err


def test_which_scores_are_meant(
    pair: tuple[Experiment, Experiment], run_command: Command, tmp_path: Path
) -> None:
    first, second = pair
    first.write(), second.write("greedy"), second.write("beam", test="other")
    code, _, err = run_command("compare", str(first.directory), str(second.directory))
    assert code == 2
    assert "there are 2 inference configurations" in err and str(second.directory / "greedy") in err
    assert run_command("compare", str(first.directory), str(second.directory / "greedy"))[0] == 0
    code, _, err = run_command("compare", str(first.directory), str(second.directory / "beam"))
    assert code == 2 and "no metric on the same test set" in err
    code, _, err = run_command("compare", str(first.directory), str(tmp_path / "nowhere"))
    assert code == 2 and "does not exist" in err
    words = ("compare", str(first.directory), str(second.directory / "greedy"), "--metric", "rates")
    code, _, err = run_command(*words)
    assert code == 2 and "metric 'rates' is not in both" in err and "rate" in err
