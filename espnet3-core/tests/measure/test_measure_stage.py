"""The stage measure with a small metric of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import numpy as np
import pytest
from espnet3_core.config.roles import InferenceConfig, MetricsConfig
from espnet3_core.data.dataset import fingerprint_of
from espnet3_core.errors import UserError
from espnet3_core.measure.config import MetricConfig
from espnet3_core.measure.metric import Metric
from espnet3_core.measure.stage import measure, show_scores, write_scores


class Accuracy(Metric):
    """Share of equal texts; numbers as numpy makes them."""

    inputs = {"reference": "dataset:text", "hypothesis": "text"}
    on_failure = {"hypothesis": ""}
    version = "7"
    better = "higher"

    def __init__(self, config: MetricConfig) -> None:
        super().__init__(config)
        self.right: dict[str, bool] = {}

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        pairs = zip(values["reference"], values["hypothesis"], strict=True)
        self.right |= {i: a == b for i, (a, b) in zip(ids, pairs, strict=True)}

    def merge(self, other: Self) -> None:
        self.right |= other.right

    def compute(self) -> dict[str, Any]:
        return {"accuracy": np.float32(np.mean(list(self.right.values()))), "spread": np.float64("nan")}

    def per_utterance(self) -> list[dict[str, Any]]:
        return [{"id": i, "right": np.bool_(right)} for i, right in self.right.items()]


class Chosen:
    """Stands for a component without a catalog."""

    name = None

    def __init__(self, made: Any, target: str = "test.Accuracy") -> None:
        self.made, self.target = made, target

    def build(self, **needs: Any) -> Any:
        assert needs["tokenizer"] == "the tokenizer"
        return self.made()


class Texts:
    """A dataset that decodes only when it must."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.texts, self.decoded = list(texts.items()), 0

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.decoded += 1
        return {**self.describe(index), "speech": np.zeros(3)}

    def describe(self, index: int) -> dict[str, Any]:
        return {"id": self.texts[index][0], "text": self.texts[index][1]}


def unquoted(item: dict[str, Any], rng: Any) -> dict[str, Any]:
    """A recipe's clean-up of texts."""
    return {**item, "text": item["text"].strip("'")}


class Context:
    """What the stage uses of a StageContext."""

    def __init__(self, directory: Path, **options: Any) -> None:
        self.inference_directory = directory / "inference"
        self.logger = logging.getLogger("test")
        tests = {"dev": Texts({"a": "x", "b": "'y'"}), "eval": Texts({"c": "z"})}
        self.data = {**tests, "train": Texts({"d": "w"})}
        chosen: Any = {"acc": Chosen(lambda: Accuracy(MetricConfig()))}
        clean = [SimpleNamespace(name=None, build=lambda **_: unquoted)]
        self.roles: dict[str, Any] = {
            "training": SimpleNamespace(
                dataset=SimpleNamespace(preprocess=clean, train=SimpleNamespace(name="train"))
            ),
            "metrics": MetricsConfig(**{"metrics": chosen, **options}),
            "inference": InferenceConfig(test_sets={name: SimpleNamespace(name=name) for name in tests}),  # type: ignore[misc]
        }

    def config(self, role: str) -> Any:
        return self.roles[role]

    def results_file(self, test: str) -> Path:
        return self.inference_directory / test / "results.jsonl"

    def build_dataset(self, component: Any) -> Any:
        return self.data[component.name]

    def build_tokenizer(self) -> str:
        return "the tokenizer"

    def needs(self) -> dict[str, Any]:
        return {"seed": 0}

    def write(self, test: str, *records: Any) -> None:
        path = self.results_file(test)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))

    @property
    def scores(self) -> Any:
        return json.loads((self.inference_directory / "metrics.json").read_text())


@pytest.fixture
def context(tmp_path: Path) -> Context:
    context = Context(tmp_path)
    context.write("dev", {"id": "b", "text": "y"}, {"id": "a", "error": "cannot be decoded"})
    context.write("eval", {"id": "c", "text": "z\u2028"})
    return context


def test_scores_files_and_table(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    measure(context)  # type: ignore[arg-type]
    named = {"spread": None, "metric": "test.Accuracy", "version": "7", "better": "higher"}
    origins = {
        name: {"data": fingerprint_of(context.data[name]), "seen_in_training": 0} for name in ("dev", "eval")
    }
    assert origins["dev"]["data"] != origins["eval"]["data"]
    assert context.scores == {
        "acc": {
            "dev": {"accuracy": 0.5, **named, "failed": 1, "provenance": origins["dev"]},
            "eval": {"accuracy": 0.0, **named, "failed": 0, "provenance": origins["eval"]},
        }
    }
    lines = (context.results_file("dev").parent / "acc.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [{"id": "b", "right": True}, {"id": "a", "right": False}]
    out = capsys.readouterr().out
    assert all(line == line.rstrip() for line in out.splitlines())
    assert "acc" in out
    assert "failed 1" in out
    assert context.data["dev"].decoded == 0


def test_scores_are_shown_again_as_they_were(context: Context, capsys: pytest.CaptureFixture[str]) -> None:
    show_scores(context)  # type: ignore[arg-type]
    assert "acc" not in capsys.readouterr().out
    measure(context)  # type: ignore[arg-type]
    table = capsys.readouterr().out
    write_scores(context.inference_directory / "metrics.json", "another", "dev", {"x": 1})
    show_scores(context)  # type: ignore[arg-type]
    assert capsys.readouterr().out == table


def test_what_made_the_results_stands_beside_the_scores(context: Context) -> None:
    training = {"updates": 70, "averaged": 3, "wanted": 3, "effective_batch": {"utterances": 8.5}}
    summary = {"weights": "abc", "training": training, "rtf": 0.1}
    (context.results_file("dev").parent / "summary.json").write_text(json.dumps(summary))
    measure(context)  # type: ignore[arg-type]
    found = context.scores["acc"]["dev"]["provenance"]
    assert found["training"] == training
    assert found["weights"] == "abc"
    assert "rtf" not in found


def test_a_test_set_seen_in_training_is_told(context: Context, caplog: pytest.LogCaptureFixture) -> None:
    context.data["train"] = Texts({"d": "w", "b": "y"})
    measure(context)  # type: ignore[arg-type]
    assert "test set 'dev': 1 utterances have ids that the training set has, too: b" in caplog.text
    assert context.scores["acc"]["dev"]["provenance"]["seen_in_training"] == 1
    assert context.scores["acc"]["eval"]["provenance"]["seen_in_training"] == 0


def test_other_scores_stay(context: Context) -> None:
    path = context.inference_directory / "metrics.json"
    path.write_text(json.dumps({"old": {"dev": {"x": 1}}, "acc": {"gone": {"x": 2}, "dev": {"x": 3}}}))
    context.roles["metrics"].test_sets = ["dev"]
    measure(context)  # type: ignore[arg-type]
    assert context.scores["old"] == {"dev": {"x": 1}}
    assert context.scores["acc"]["gone"] == {"x": 2}
    assert context.scores["acc"]["dev"]["accuracy"] == 0.5
    assert "eval" not in context.scores["acc"]


def test_results_of_other_utterances_are_named(context: Context) -> None:
    context.write("dev", {"id": "a", "text": "x"}, {"id": "q", "text": "y"})
    with pytest.raises(UserError) as caught:
        measure(context)  # type: ignore[arg-type]
    assert "no result for 1 of 2: b" in caught.value.message
    assert "1 not in test set 'dev': q" in caught.value.message


def test_every_broken_line_is_listed(context: Context) -> None:
    context.write("dev", {"id": "a", "text": "x"}, "{broken", "[]", {"id": "a", "text": "x"})
    with pytest.raises(UserError) as caught:
        measure(context)  # type: ignore[arg-type]
    path = context.results_file("dev")
    assert f"{path}:2: not JSON" in caught.value.message
    assert f"{path}:3: not a result" in caught.value.message
    assert f"{path}:4: utterance 'a' stands in line 1 already" in caught.value.message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_sets": ["devv"]}, "no test set 'devv'"),
        ({"metrics": {"results": Chosen(None)}}, r"metrics\.results: the id names files"),
        ({"metrics": {"a/b": Chosen(None)}}, "the id names files"),
        (
            {"metrics": {"acc": Chosen(lambda: Accuracy(MetricConfig(inputs={"hypothesis": "txt"})))}},
            "no field 'txt'",
        ),
        (
            {"metrics": {"acc": Chosen(lambda: Accuracy(MetricConfig(inputs={"reference": "dataset:x"})))}},
            "no field 'x'",
        ),
        (
            {"metrics": {"acc": Chosen(lambda: Accuracy(MetricConfig(inputs={"wrong": "x"})))}},
            "no input 'wrong'",
        ),
    ],
)
def test_mistakes(context: Context, options: dict[str, Any], message: str) -> None:
    for key, value in options.items():
        setattr(context.roles["metrics"], key, value)
    with pytest.raises(UserError, match=message):
        measure(context)  # type: ignore[arg-type]


def test_missing_results(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there are no results") as caught:
        measure(Context(tmp_path))  # type: ignore[arg-type]
    assert "stage infer" in str(caught.value.hint)
