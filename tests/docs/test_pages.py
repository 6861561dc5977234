"""What the documentation shows is true: pages are followed from top to bottom, each in its own folder."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from espnet3_core import hookspecs
from espnet3_core.catalog import current_catalog
from espnet3_core.cli.main import VERBS

from tests.docs import pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLE = ROOT / "recipes/fsdd/asr/sample"


PAGES = sorted(page.relative_to(ROOT).as_posix() for page in DOCS.glob("*.md")) + ["README.md"]
OWN_PARTS = "docs/own-parts.md"
FOLLOWED_ELSEWHERE = {
    OWN_PARTS: "tests/docs/test_pages.py",
    "docs/bundles.md": "tests/docs/test_bundles_page.py",
    "docs/conformance.md": "tests/docs/test_conformance_page.py",
    "docs/demo.md": "plugins/espnet3-demo/tests/test_docs.py",
    "docs/export.md": "plugins/espnet3-onnx/tests/test_docs.py",
    "docs/from-experiment-to-users.md": "tests/docs/test_from_experiment_page.py",
    "docs/serving.md": "plugins/espnet3-serve/tests/test_docs.py",
}
FOLLOWED = [
    name
    for name in PAGES
    if name not in FOLLOWED_ELSEWHERE
    and any(
        block.language in ("sh", "python") and not block.noted("not run")
        for block in pages.blocks_of(ROOT / name)
    )
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a user's audio: ``audio/{train,valid,test}``, FLAC files with a text beside each."""
    with (SAMPLE / "manifest.tsv").open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows, delimiter="\t"):
            folder = tmp_path / "audio" / row["split"]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(SAMPLE / row["path"], folder)
            (folder / f"{row['id']}.txt").write_text(row["text"] + "\n", "utf-8")
    shutil.copy(SAMPLE / "flac/espeak-gb-m5-00.flac", tmp_path / "a.flac")
    (tmp_path / "bin").mkdir()
    for name in ("python", "python3"):
        (tmp_path / "bin" / name).symlink_to(sys.executable)
    command = tmp_path / "bin/espnet3"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m espnet3_core "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def replaced(old: Any, new: Any) -> Any:
    """What a reader makes of a YAML file who puts the shown nodes in the place of those there."""
    if not isinstance(old, dict) or not isinstance(new, dict) or {"name", "_target_"} & new.keys():
        return new
    return {**old, **{key: replaced(old.get(key), value) for key, value in new.items()}}


def follow(block: Any, place: Path) -> str:
    """Do what a block says; what it printed."""
    if path := block.noted("file"):
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(block.text, "utf-8")
        return ""
    if path := block.noted("in"):
        nodes = replaced(yaml.safe_load((place / path).read_text("utf-8")), yaml.safe_load(block.text))
        (place / path).write_text(yaml.safe_dump(nodes), "utf-8")
        return ""
    if block.language not in ("sh", "python"):
        return ""
    if block.language == "python":
        words = [sys.executable, "-c", block.text]
    else:
        words = ["bash", "-euo", "pipefail", "-c", block.text]
    done = subprocess.run(
        words, cwd=place, capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(place), *sys.path])},
    )  # fmt: skip
    assert done.returncode == 0, f"{block.where}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_reader_who_follows_the_page_gets_what_it_says(name: str, place: Path) -> None:
    printed = ""
    for block in pages.blocks_of(ROOT / name):
        if block.language == "text" and block.note == "printed":
            for line in filter(None, map(str.strip, block.text.splitlines())):
                pattern = ".*".join(map(re.escape, line.split("…")))
                assert re.search(pattern, printed), f"{block.where}: {line!r} is not in\n{printed}"
        elif block.language in ("sh", "python", "yaml", "toml") and not block.noted("not run"):
            printed = follow(block, place)


@pytest.mark.parametrize("name", PAGES)
def test_commands_and_settings_are_well_formed_even_where_they_do_not_run(name: str) -> None:
    verbs = {*VERBS, *(command.name for command, _ in current_catalog().commands())}
    for block in pages.blocks_of(ROOT / name):
        if block.language == "yaml":
            yaml.safe_load(block.text)
        elif block.language == "python":
            compile(block.text, block.where, "exec")
        elif block.language == "sh":
            for words in map(shlex.split, block.commands()):
                if words[0] == "espnet3" and block.noted("not run") and name not in FOLLOWED_ELSEWHERE:
                    assert words[1] in verbs, f"{block.where}: {words}"


def test_pages_that_are_followed_elsewhere_are_followed_there() -> None:
    for page, test in FOLLOWED_ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text("utf-8"), test


def test_links_between_pages_lead_somewhere() -> None:
    for name in PAGES:
        page = ROOT / name
        text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", text):
            if not target.startswith("reference/"):  # made by the build, which checks them
                assert (page.parent / target).exists(), f"{name}: {target}"


def test_new_parts_take_25_lines_and_reach_the_word_error_rate_that_is_said(place: Path) -> None:
    page = ROOT / OWN_PARTS
    blocks = pages.blocks_of(page)
    typed = [
        line
        for block in blocks
        if block.noted("file") or block.noted("in")
        for line in block.text.splitlines()
    ]
    already_there = {"dataset:", "test_sets:"}
    assert sum(line.strip() != "" and line not in already_there for line in typed) <= 25
    assert max(map(len, typed)) <= 100
    for block in blocks:
        follow(block, place)
    (path,) = place.glob("digits/exp/*/*/metrics.json")
    scores = json.loads(path.read_text("utf-8"))
    said = float(re.search(r"stays below (\d+) %", page.read_text("utf-8"))[1])

    assert scores["wer"]["test"]["wer"] < said


def test_every_text_that_troubleshooting_explains_is_said_somewhere() -> None:
    sources = "\n".join(
        path.read_text("utf-8")
        for folder in (ROOT / "espnet3-core/src", *ROOT.glob("plugins/*/src"))
        for path in folder.rglob("*.py")
    )
    rows = re.findall(r"^\| `([^`]+)` \|", (DOCS / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
    assert len(rows) >= 8
    assert [text for text in rows if text not in sources] == []


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_hook_has_a_page_with_its_signature_and_an_example(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    reference = _load(DOCS / "reference.py")
    made = reference.pages()
    names = [name for name, value in vars(hookspecs).items() if hasattr(value, "espnet3_spec")]
    assert len(names) >= 15
    for name in names:
        page = made[f"hooks/{name}"]
        assert f"def {name}(" in page
        example = page.rpartition("```python\n")[2].partition("```")[0]
        compile(example, name, "exec")
        assert f"def {name}(" in example, name
        assert name in made["hooks/index"]


def test_every_message_of_the_sources_stands_on_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    made = _load(DOCS / "reference.py").pages()
    listed = made["messages/espnet3_core"]
    assert (
        "| `… utterances are too few for … devices` | `use fewer devices: training.trainer.devices` |"
        in listed
    )
    rows = [line for line in listed.splitlines() if line.startswith("| `")]
    assert len(rows) > 250 and {line.replace("\\|", "").count("|") for line in rows} == {4}
    for package in ("asr", "speech", "tts", "serve", "hub", "onnx", "demo"):
        assert f"messages/espnet3_{package}" in made
