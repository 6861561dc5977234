"""The examples of docs/serving.md, as they stand there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from serving_tools import Running, Tones, as_file, heard, letters, serving

TEXT = (Path(__file__).parents[3] / "docs/serving.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def running(tones: Tones):
    with serving(tones.environment, f"digits={tones.listener}", f"voice={tones.speaker}") as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "audio.wav").write_bytes(as_file(letters("hello world")))
    return tmp_path


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def spoken(folder: Path) -> str:
    samples, rate = soundfile.read(folder / "speech.wav")
    return heard(samples, rate)


def test_the_commands_of_the_shell(running: Running, folder: Path):
    (text,) = blocks("bash")
    found = run(folder, "bash", "-euc", text.replace("http://127.0.0.1:8000", running.url))
    assert found.startswith('{"text":"hello world"')
    assert "1\n00:00:00,000 --> 00:00:00,440\nhello world\n" in found
    assert '"words":[{"word":"hello","start":0.0,"end":0.2},' in found
    assert '"id":"voice"' in found
    assert spoken(folder) == "hello world"


def test_the_program(running: Running, folder: Path):
    (text,) = blocks("python")
    found = run(folder, sys.executable, "-c", text.replace("http://127.0.0.1:8000", running.url))
    assert found == "hello world [('hello', 0.0, 0.2), ('world', 0.24, 0.44)]\n"
    assert spoken(folder) == "hello world"


def test_defaults_are_as_the_text_says():
    from espnet3_serve.limits import Limits

    usual = Limits()
    stated = re.findall(r"`--(max-mb|max-seconds|max-characters|queue|timeout|batch|wait-ms)` \((\d+)", TEXT)
    assert {name: float(value) for name, value in stated} == {
        "max-mb": usual.bytes / 1e6,
        "max-seconds": usual.seconds,
        "max-characters": usual.characters,
        "queue": usual.queue,
        "timeout": usual.timeout,
        "batch": usual.batch,
        "wait-ms": usual.wait * 1000,
    }
