"""docs/bundles.md: its snippets run, its tables are true."""

from __future__ import annotations

import dataclasses
import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml
from espnet3_core.bundle.archive import write_archive
from espnet3_core.bundle.limits import Limits
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.names import SUFFIXES
from espnet3_core.cli.main import VERBS, main
from espnet3_core.config.roles import TrainingConfig
from espnet3_core.config.schema import problems

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/bundles.md").read_text("utf-8")
BUNDLE = ROOT / "plugins/espnet3-asr/tests/bundles/version_1"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page speaks of."""
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_archive(BUNDLE, tmp_path / "digits.zip")
    shutil.copy(BUNDLE / "sample/speech.wav", tmp_path / "audio.wav")
    return tmp_path


def test_the_python_runs(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for code in blocks("python"):
        exec(compile(code, "bundles.md", "exec"), names)
    assert capsys.readouterr().out.startswith("rrtrhr -83.78")


def test_the_commands_run(desk: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (commands,) = blocks("sh")
    lines = [shlex.split(line, comments=True)[1:] for line in commands.splitlines()]
    assert [words[0] for words in lines] == ["pack", "inspect", "verify", "fetch", "asr"]
    assert lines[0][0] in VERBS  # packing needs a trained recipe: test_bundles.py
    for words in lines[1:]:
        assert main(words) == 0, words
    assert capfd.readouterr().out.splitlines()[-1] == "rrtrhr"


def test_the_configuration_is_one() -> None:
    (text,) = blocks("yaml")
    data = {"train": {"name": "core/manifest", "path": "x.tsv"}}
    assert problems(TrainingConfig, {**yaml.safe_load(text), "dataset": data}, "training") == []


def test_the_tables_name_every_key() -> None:
    rows = [cell for line in PAGE.splitlines() if line.startswith("| `") for cell in [line.split("|")[1]]]
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    for record in (Manifest, Limits):
        assert {field.name for field in dataclasses.fields(record)} <= named
    listed = re.search(r"they hold `(.*?)`", PAGE)
    assert listed is not None
    assert set(listed[1].split()) == SUFFIXES


def test_the_limits_are_as_stated() -> None:
    stated = dict(re.findall(r"^\| `(\w+)`.*\| ([\d]+(?: [GM]iB)?) \|$", PAGE, re.MULTILINE))
    units = {"GiB": 1 << 30, "MiB": 1 << 20}
    found = {name: int(text.split()[0]) * units.get(text.split()[-1], 1) for name, text in stated.items()}
    assert found == dataclasses.asdict(Limits())
