"""docs/from-experiment-to-users.md, from top to bottom: one model, packed, served, published and exported.

The blocks about pages in a browser are followed by the tests of espnet3-demo, which bring a browser.
"""

from __future__ import annotations

import csv
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from espnet3_core.cli.main import main

from tests.docs import pages
from tests.docs.test_pages import ROOT, SAMPLE, follow
from tests.test_publishing import SERVER, module, python

PAGE = ROOT / "docs/from-experiment-to-users.md"
SMALL = [
    "training.model.encoder.hidden_size=16",
    "training.trainer.max_epochs=1",
    "training.optimizer.lr=0.0",  # a model that has learnt as little as this would say nothing
    "training.scheduler=null",
]
UTTERANCES = {"train": 12, "valid": 3, "test": 4}

for name in ("openai", "espnet3_serve", "espnet3_hub", "espnet3_onnx"):
    pytest.importorskip(name, reason=f"{name} is not installed")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the experiment that the page begins with, and the recording that it recognises."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    with (SAMPLE / "manifest.tsv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    for split, count in UTTERANCES.items():
        (tmp_path / "audio" / split).mkdir(parents=True)
        for row in [row for row in rows if row["split"] == split][:count]:
            shutil.copy(SAMPLE / row["path"], tmp_path / "audio" / split)
            (tmp_path / "audio" / split / f"{row['id']}.txt").write_text(row["text"] + "\n", "utf-8")
    shutil.copy(next((tmp_path / "audio/test").glob("*.flac")), "a.flac")
    assert main(["new", "recipe", "digits", "--system", "asr/recognition", "--data", "audio"]) == 0
    assert main(["run", "digits", *SMALL]) == 0
    return tmp_path


@contextmanager
def served(command: str, place: Path) -> Iterator[str]:
    """The server of the page on a free port; gives its address."""
    words = shlex.split(command.replace("--port 8000", "--port 0"))
    line = [sys.executable, "-m", "espnet3_core", *words[1:]]
    process = subprocess.Popen(line, cwd=place, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        said = []
        for text in process.stderr:
            said.append(text)
            if found := re.search(r"http://[\w.:]+", text):
                yield found[0]
                break
        else:
            raise AssertionError("".join(said))
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def test_one_model_goes_the_whole_way(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said: dict[str, str] = {}
    address = url = ""
    with ExitStack() as running:
        hub = running.enter_context(module(SERVER).running())
        for variable, value in {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_WriterToken0000"}.items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("HF_HOME", str(desk / "hf"))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        printed = ""
        for block in pages.blocks_of(PAGE):
            if block.noted("not run") or block.note == "browser":
                continue
            if block.note == "printed":
                for line in block.text.splitlines():
                    pattern = ".*".join(map(re.escape, line.split("…")))
                    assert re.search(pattern, printed), f"{block.where}: {line!r} is not in\n{printed}"
            elif block.note == "served":
                url = running.enter_context(served(block.text, desk))
            elif block.language == "python":
                shown = "hf://my-name/digits@0123456789abcdef0123456789abcdef01234567"
                code = block.text.replace("http://127.0.0.1:8000", url).replace(shown, address)
                said[block.where] = python(code, cwd=desk)
            elif block.noted("file") or block.noted("in"):
                follow(block, desk)
            else:
                printed = "".join(follow_line(line, capfd) for line in block.commands())
                if found := re.search(r"^hf://my-name/digits@[0-9a-f]{40}$", printed, re.MULTILINE):
                    address = found[0]
        assert address, "nothing was published"
    texts = {text.partition(" [(")[0].strip() for text in said.values()}
    assert len(said) == 3
    assert len(texts) == 1, said  # from Python, over HTTP, and from the Hub
    assert texts != {""}
    repo = hub.repos["model", "my-name/digits"]
    assert not repo.private
    assert {name for name in repo.files() if name != ".gitattributes"} == {
        path.relative_to(desk / "digits/exp/training/bundle").as_posix()
        for path in (desk / "digits/exp/training/bundle").rglob("*")
        if path.is_file()
    }


def follow_line(line: str, capfd: pytest.CaptureFixture[str]) -> str:
    """What a command of the page prints; uploads get a process whose client knows the tests' Hub."""
    words = shlex.split(line)
    assert words[0] == "espnet3"
    capfd.readouterr()
    if "upload_model" in words:
        command = [sys.executable, "-m", "espnet3_core", *words[1:], *SMALL]
        done = subprocess.run(command, env={**os.environ}, check=False)
        assert done.returncode == 0, capfd.readouterr().err
    else:
        small = SMALL if words[1] == "pack" else []
        assert main([*words[1:], *small]) == 0, (line, capfd.readouterr().err)
    out, err = capfd.readouterr()
    return out + err
