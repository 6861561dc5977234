"""From a trained recipe to a bundle: packing, killing, verifying elsewhere, and training on from it."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from espnet3_core import load

SMALL = ("training.model.encoder.hidden_size=8", "training.trainer.max_epochs=1")
VARIANT = ("--training", "training_sample", "--inference", "inference_sample")
KILLED = """
import os, signal, sys
count = 0
def hook(event, arguments):
    global count
    if event in ("open", "os.rename") and ".bundle.new" in str(arguments[0]):
        count += 1
        if count == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from espnet3_core.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def packed(trained: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The trained recipe, with its bundle and a zip of it."""
    recipe = type(trained)(Path(shutil.copytree(trained.directory, tmp_path_factory.mktemp("packed") / "r")))
    done = recipe.espnet3("pack", ".", *VARIANT, *SMALL, "--to", "digits.zip")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "digits.zip"
    return recipe


def bundle_of(recipe: Any, tag: str = "training_sample") -> Path:
    return recipe.directory / "exp" / tag / "bundle"


def test_the_bundle_says_what_it_is(packed: Any) -> None:
    manifest = json.loads((bundle_of(packed) / "manifest.json").read_text())
    assert [field["kind"] for field in manifest["inputs"]] == ["audio"]
    assert [field["name"] for field in manifest["outputs"]] == ["text", "words", "score"]
    assert set(manifest["plugins"]) == {"espnet3-core", "espnet3-asr", "espnet3-speech"}
    scores = json.loads(next(packed.directory.glob("exp/*/inference_sample/metrics.json")).read_text())
    assert manifest["metrics"] == scores
    assert set(manifest["sample"]["outputs"]) == {"text", "words", "score"}
    assert str(packed.directory) not in json.dumps(manifest)


def test_elsewhere_and_in_another_process_it_gives_the_same_text(packed: Any, tmp_path: Path) -> None:
    shutil.copy(packed.directory / "digits.zip", tmp_path / "a b.zip")
    done = packed.espnet3("verify", str(tmp_path / "a b.zip"), ESPNET3_CACHE=str(tmp_path / "cache"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (
        0,
        "the sample gives what it gave when the bundle was packed",
    ), done.stderr
    results = [
        json.loads(line)
        for line in next(packed.directory.glob("exp/*/inference_sample/test/results.jsonl")).open()
    ]
    model = load(bundle_of(packed), device="cpu")
    header, *rows = [row.split("\t") for row in packed.rows()]
    audio = {row[header.index("id")]: packed.manifest.parent / row[header.index("path")] for row in rows}
    found = model.batch([audio[result["id"]] for result in results])
    assert [result.text for result in found] == [result["text"] for result in results]


@pytest.mark.parametrize("moment", [6, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 13, 20))])
def test_a_killed_command_is_finished_by_the_same_command(
    trained_copy: Any, packed: Any, moment: int
) -> None:
    words = ["pack", ".", *VARIANT, *SMALL]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(moment), *words],
        cwd=trained_copy.directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, (done.stdout, done.stderr)
    assert not bundle_of(trained_copy).exists()
    done = trained_copy.espnet3(*words)
    assert done.returncode == 0, done.stderr
    wanted = {p.relative_to(bundle_of(packed)): p for p in bundle_of(packed).rglob("*") if p.is_file()}
    for name, path in wanted.items():
        assert (bundle_of(trained_copy) / name).read_bytes() == path.read_bytes(), name
    left = {path.name for path in bundle_of(trained_copy).parent.glob(".bundle*")}
    assert not {".bundle.new", ".bundle.old"} & left


def test_own_code_is_refused_with_the_command_that_helps(
    trained_copy: Any, message: Callable[[Any], str]
) -> None:
    (trained_copy.directory / "src").mkdir()
    (trained_copy.directory / "src/search.py").write_text(
        "class Search:\n    def __init__(self, *, model):\n        self.infer = model.infer\n"
    )
    path = trained_copy.directory / "conf/own.yaml"
    config = yaml.safe_load((trained_copy.directory / "conf/inference_sample.yaml").read_text())
    path.write_text(yaml.safe_dump({**config, "search": {"_target_": "src.search.Search"}}))
    words = ["pack", ".", "--training", "training_sample", "--inference", "own", *SMALL]
    told = message(trained_copy.espnet3(*words))
    assert "src.search.Search is chosen by import path" in told
    assert f"espnet3 plugin from-recipe {trained_copy.directory} NAME" in told


def tuned(recipe: Any, tag: str, *overrides: str) -> subprocess.CompletedProcess[str]:
    """Train on from the recipe's own bundle, in an experiment of its own."""
    source = f"training.model.init_from.source={bundle_of(recipe)}"
    return recipe.run("--tag", tag, source, *overrides)


def test_before_its_first_step_a_tuned_model_is_its_source(packed: Any) -> None:
    """Validation before training gives the source's loss; with steps of size 0, the tests its error rate."""
    done = tuned(packed, "tuned", "training.optimizer.lr=0.0", "training.scheduler=null")
    assert done.returncode == 0, done.stderr
    source, experiment = packed.directory / "exp/training_sample", packed.directory / "exp/tuned"
    assert (experiment / "tokenizer/tokens.txt").read_bytes() == (
        source / "tokenizer/tokens.txt"
    ).read_bytes()
    facts = json.loads((experiment / "stages/train.json").read_text())["facts"]
    (last,) = [
        record
        for record in map(json.loads, (source / "metrics.jsonl").read_text().splitlines())
        if record["kind"] == "valid"
    ]
    assert facts["before_the_first_step"]["valid/loss"] == pytest.approx(last["valid/loss"], rel=1e-6)
    assert facts["weights"]["new"] == facts["weights"]["unused"] == facts["weights"]["extended"] == []
    assert re.search(rf"before the first step: .*valid/loss {last['valid/loss']:.5g}", done.stderr)
    scores = [
        json.loads((path / "inference_sample/metrics.json").read_text()) for path in (source, experiment)
    ]
    assert scores[0]["wer"]["test"]["wer"] == scores[1]["wer"]["test"]["wer"]
    texts = [(path / "inference_sample/test/text.scp").read_text() for path in (source, experiment)]
    assert texts[0] == texts[1]


def test_vocabularies_grow_and_others_are_refused(
    packed: Any, tmp_path: Path, message: Callable[[Any], str]
) -> None:
    recipe = type(packed)(Path(shutil.copytree(packed.directory, tmp_path / "r")))
    header, *rows = recipe.rows()
    column = header.split("\t").index("text")
    first = rows[0].split("\t")
    first[column] = "gloria gloria"
    recipe.write([header, "\t".join(first), *rows[1:]])
    old = (bundle_of(recipe) / "tokenizer/tokens.txt").read_text().splitlines()
    grown = tuned(recipe, "extend", "training.model.init_from.vocabulary=extend", "--to", "train")
    assert grown.returncode == 0, grown.stderr
    found = (recipe.directory / "exp/extend/tokenizer/tokens.txt").read_text().splitlines()
    assert found == [*old[:-1], "gloria", old[-1]]
    facts = json.loads((recipe.directory / "exp/extend/stages/train.json").read_text())["facts"]
    assert facts["weights"]["extended"] == ["ctc.head.out.weight", "ctc.head.out.bias"]
    told = message(tuned(recipe, "other", "training.tokenizer.min_count=2", "--stages", "train_tokenizer"))
    assert "it is another than that of" in told
    assert "init_from.vocabulary: replace" in told
