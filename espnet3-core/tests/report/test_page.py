"""The page of an experiment whose task core does not know: whole, well formed, nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from espnet3_core.report.results import natural

Command = Callable[..., tuple[int, str, str]]
EVIL = "<script>alert('1')</script> & \"so\" on\ufffd"  # a page holds no control characters
LINKS = ("src", "href", "action", "data", "poster", "xlink:href", "srcset")


def test_ids_are_unique_and_links_stay_on_the_page(experiment: Path, report: Any) -> None:
    page = report(experiment)
    ids = [node.attributes["id"] for node in page.nodes if "id" in node.attributes]
    assert len(set(ids)) == len(ids) > 10
    for node in page.nodes:
        for name in LINKS:
            value = node.attributes.get(name) or "#configuration"
            assert value.startswith("data:") or value.removeprefix("#") in ids, value
    assert "http" not in re.sub(r"http-equiv", "", page.html)
    assert "url(" not in page.html and "@import" not in page.html


def test_the_policy_allows_our_style_and_script_alone(experiment: Path, report: Any) -> None:
    import hashlib

    page = report(experiment)
    (policy,) = (n.attributes["content"] for n in page.all("meta") if n.attributes.get("http-equiv"))
    assert "default-src 'none'" in policy
    for tag in ("style", "script"):
        (node,) = page.all(tag)
        assert base64.b64encode(hashlib.sha256(node.text.encode()).digest()).decode() in policy
    assert not any("style" in node.attributes or "onload" in node.attributes for node in page.nodes)


def test_what_users_wrote_shows_as_text(experiment: Path, report: Any) -> None:
    page = report(experiment)
    assert len(page.all("script")) == len(page.all("style")) == 1
    (wrong,) = (node for node in page.all("article") if node.text.startswith("dog-3"))
    assert EVIL.split()[0] in wrong.text  # aligned, word by word
    assert f"it is a {EVIL}" in page.section("utterances").text
    assert "</style>" + EVIL in page.section("configuration").text
    assert "espnet3 run '<b>'" in page.section("versions").text
    assert "no <air>" in page.section("utterances").text


def test_every_utterance_is_there_with_its_score_the_worst_first(experiment: Path, report: Any) -> None:
    page = report(experiment, "--utterances", "4")
    # What failed, then what is wrong, then what is right: a higher accuracy is better.
    assert [node.text.split("accuracy")[0] for node in page.all("h4")] == ["dog-4", "dog-1", "dog-3", "dog-0"]
    assert "4 of 5 utterances, the lowest accuracy first" in page.section("utterances").text
    (table,) = page.all("table", "sortable")
    cells = [[cell.text for cell in row.children] for row in table.children[1].children]
    assert {row[0]: row[1] for row in cells} == {
        "dog-4": "0", "dog-1": "0", "dog-3": "0", "dog-0": "100", "dog-2": "100"
    }  # fmt: skip


def test_scores_are_those_of_metrics_json(experiment: Path, report: Any) -> None:
    page = report(experiment)
    (score,) = (node for node in page.all("span", "number") if "data-value" in node.attributes)
    scores = json.loads((experiment / "inference/metrics.json").read_text("utf-8"))
    assert float(score.attributes["data-value"]) == scores["accuracy"]["barks"]["accuracy"]
    assert score.text == "40.00 %"
    text = page.section("scores").text
    assert "20.00 to 60.50 % (95 %, by utterance)" in text
    assert "higher is better; dogs 5, failed 1" in text


def test_sound_of_the_model_stands_beside_the_recording(experiment: Path, report: Any) -> None:
    page = report(experiment)
    (right,) = (node for node in page.all("article") if node.text.startswith("dog-0"))
    assert "model: sound 0.10 s, 8,000 Hz" in right.text and "recording: bark 0.10 s" in right.text
    players = [node.attributes["src"].partition(",")[2] for node in page.all("audio")]
    decoded = [soundfile.read(io.BytesIO(base64.b64decode(text)), dtype="int16")[0] for text in players]
    made, _ = soundfile.read(experiment / "inference/barks/sound/dog-0.wav", dtype="int16")
    assert any(np.array_equal(samples, made) for samples in decoded)
    assert any(np.array_equal(samples, np.full(800, 8192)) for samples in decoded)
    # dog-2 cannot be read: that is said, and costs no other its recording.
    assert len(players) == 1 + 4 + 1
    assert "Recordings of 1 utterances cannot be shown: OSError: the disk is tired" in page.html


@pytest.mark.parametrize(("count", "players"), [("0", 0), ("1", 2)])
def test_players_are_limited(experiment: Path, report: Any, count: str, players: int) -> None:
    page = report(experiment, "--audio", count)
    assert len(page.all("audio")) == players  # of the worst, and of the picture


def test_media_beyond_the_limit_are_left_out_and_counted(
    experiment: Path, report: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("espnet3_core.report.media.Media.limit", 0)
    monkeypatch.setattr("espnet3_core.report.media.Media.__init__.__defaults__", (0, 0, 0))
    page = report(experiment)
    assert page.all("audio") == page.all("img") == []
    assert "left out: the page is full" in page.html
    assert "and 7 did not fit" in page.all("footer")[0].text


def test_pictures_checkpoints_configuration_and_versions(experiment: Path, report: Any) -> None:
    page = report(experiment)
    (image,) = page.all("img")
    assert (
        base64.b64decode(image.attributes["src"].partition(",")[2])
        == (experiment / "pictures/epoch0002.png").read_bytes()
    )
    text = page.section("checkpoints").text
    assert "average of epoch001.safetensors, epoch002.safetensors" in text
    assert "training goes on from step 12, epoch 3" in text
    keys = {
        row.children[0].text: row.children[1].text
        for row in page.all("tr")
        if row.children[0].tag == "th" and len(row.children) == 2
    }
    assert keys["model.encoder.name"] == "recipe/fur" and keys["model.encoder.sizes"] == "[1, 2]"
    assert keys["seed"] == "1"
    assert "1.0 (train, infer); 1.1 (measure)" in page.section("versions").text
    assert "1 min 1 s" in page.section("time").text
    assert (
        "compute-bound: 25 % of the time of training steps is waiting for data" in page.section("time").text
    )


def test_the_page_is_a_function_of_the_experiment(experiment: Path, report: Any) -> None:
    assert report(experiment).html == report(experiment).html


def test_two_inference_configurations_are_told_apart(experiment: Path, report: Any) -> None:
    shutil.copytree(experiment / "inference", experiment / "greedy")
    page = report(experiment)
    assert [node.text for node in page.all("h3") if "barks" in node.text] == [
        "barks (greedy)",
        "barks (inference)",
    ]
    assert len(page.all("svg", "interval")) == 2  # on one scale, to be compared


def test_another_metric_may_rank(experiment: Path, report: Any, run_command: Command) -> None:
    path = experiment / "inference/metrics.json"
    scores = json.loads(path.read_text("utf-8"))
    ratio = {"numerator": "size", "denominator": None, "scale": 1.0, "same": [], "by": "utterance"}
    scores["size"] = {"barks": {"size": 3.0, "better": "lower", "ratio": ratio}}
    path.write_text(json.dumps(scores), "utf-8")
    lines = [json.dumps({"id": f"dog-{n}", "size": n}) + "\n" for n in range(4)]
    (experiment / "inference/barks/size.jsonl").write_text("".join(lines), "utf-8")
    page = report(experiment, "--metric", "size")
    assert [node.text.split("size")[0] for node in page.all("h4")] == [f"dog-{n}" for n in (4, 3, 2, 1, 0)]
    code, _, err = run_command("report", str(experiment), "--metric", "sise")
    assert code == 2 and "did you mean 'size'?" in err


def test_what_has_not_run_is_said_with_the_command(tmp_path: Path, experiment: Path, report: Any) -> None:
    recipe = experiment.parent.parent
    (experiment / "inference/metrics.json").unlink()
    command = f"espnet3 run {recipe} --stages"
    text = report(experiment).html
    assert f"No measure stage has run yet: <code>{command} measure" in text
    assert "in the order of the data" in text
    shutil.rmtree(experiment / "inference")
    assert f"No infer stage has run yet: <code>{command} infer" in report(experiment).html
    for name in ("checkpoints", "config", "pictures"):
        shutil.rmtree(experiment / name)
    (experiment / "metrics.jsonl").unlink()
    page = report(experiment)
    assert f"Training has not logged anything yet: {command} train" in page.section("training").text
    assert f"No checkpoint has been written yet: {command} train" in page.section("checkpoints").text
    assert "No stage has saved its configuration" in page.section("configuration").text
    assert all(node.attributes.get("id") != "pictures" for node in page.nodes)


def test_only_a_page_of_ours_is_overwritten(experiment: Path, run_command: Command) -> None:
    page = experiment / "report.html"
    assert run_command("report", str(experiment))[0] == 0
    first = page.read_bytes()
    assert run_command("report", str(experiment))[0] == 0
    assert page.read_bytes() == first
    page.write_text("<p>my own notes")
    code, _, err = run_command("report", str(experiment))
    assert code == 2 and "is no page of espnet3 report; nothing is overwritten" in err and "-o" in err
    assert page.read_text() == "<p>my own notes"
    code, _, err = run_command("report", str(experiment), "-o", str(experiment))
    assert code == 2 and "is a folder" in err


def test_damaged_results_are_told_in_their_place(experiment: Path, report: Any) -> None:
    with (experiment / "inference/barks/results.jsonl").open("a") as stream:
        stream.write("{half")
    page = report(experiment)
    assert "results.jsonl:6: not JSON" in page.section("scores").text
    assert len(page.all("svg")) > 3


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"a: [1", "this is not YAML"), (b"\xff\xfe", "this is not YAML"), (b"- 1", "a mapping is expected")],
)
def test_a_damaged_configuration_is_told_in_its_place(
    experiment: Path, report: Any, content: bytes, told: str
) -> None:
    (experiment / "config/training.yaml").write_bytes(content)
    assert f"training.yaml: {told}" in report(experiment).section("configuration").text


def test_groups_of_another_kind_are_no_reason_to_fail(experiment: Path, report: Any) -> None:
    (experiment / "config/training.yaml").write_text("{model: y, dataset: x, checkpoint: 3}")
    assert "model" in report(experiment).section("configuration").text


@pytest.mark.parametrize("content", ["[]", '{"wer": null}'])
def test_scores_that_are_none_are_refused(experiment: Path, run_command: Command, content: str) -> None:
    (experiment / "inference/metrics.json").write_text(content)
    code, _, err = run_command("report", str(experiment))
    assert code == 2 and "metrics.json: no scores" in err


def test_secrets_stay_out_of_a_page_that_is_passed_on(experiment: Path, report: Any) -> None:
    text = "{logger: {api_key: S3CRET}, data: 'https://me:S3CRET@example.org/x'}"
    (experiment / "config/training.yaml").write_text(text)
    shown = report(experiment).section("configuration").text
    assert "logger.api_key" in shown and "example.org" in shown
    assert "S3CRET" not in shown


def test_names_with_numbers_are_sorted_by_their_numbers() -> None:
    names = ["u10", "u2", "u010²", "a", "1" * 5000, "7"]
    assert sorted(names, key=natural) == ["7", "1" * 5000, "a", "u2", "u10", "u010²"]
