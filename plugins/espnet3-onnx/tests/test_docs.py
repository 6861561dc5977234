"""docs/export.md: its snippets run and print what the bundle says, its tables are true."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import espnet3_core
import numpy as np
import onnxruntime
import pytest
import soundfile
import yaml
from digit_bundles import SHERPA, recordings
from espnet3_core.catalog import current_catalog
from espnet3_core.config.roles import TrainingConfig
from espnet3_core.config.schema import problems, validate
from espnet3_speech.frontends.config import KaldiFbankConfig

PAGE = (Path(__file__).parents[3] / "docs/export.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_python_runs(
    exports: dict[str, Path], learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for kind, folder in exports.items():
        shutil.copytree(folder, f"digits-{kind}")
    path = list(recordings(2))[1]
    shutil.copy(path, "audio.wav")  # FLAC in truth; soundfile looks inside
    names: dict[str, object] = {}
    for code in [block for block in blocks("python") if "acoustic" not in block]:
        exec(compile(code, "export.md", "exec"), names)
    text = espnet3_core.load(learnt, device="cpu")(path).text
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [text, text]


def test_the_voice_speaks(voices: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(voices["acoustic-onnx"], "voice-onnx")
    shutil.copytree(voices["vocoder-onnx"], "vocoder-onnx")
    (code,) = [block for block in blocks("python") if "acoustic" in block]
    model = espnet3_core.load(voices["acoustic"], device="cpu")
    result = model("hello", speaker="anna")
    names = {"np": np, "onnxruntime": onnxruntime, "soundfile": soundfile, "spoken": result.tokens}
    exec(compile(code, "export.md", "exec"), names)
    assert soundfile.info("speech.wav").frames == sum(result.fields["durations"]) * 128


def test_the_commands_name_every_format() -> None:
    (commands,) = blocks("sh")
    lines = [shlex.split(line, comments=True) for line in commands.splitlines()]
    formats = [spec.format for spec in current_catalog().exports() if spec.system == "asr/recognition"]
    assert lines == [["espnet3", "export", "digits", "--format", name] for name in formats]
    for name in formats:
        assert f"| `{name}` |" in PAGE


def test_the_configuration_is_what_sherpa_needs() -> None:
    (text,) = blocks("yaml")
    data = {"train": {"name": "core/manifest", "path": "x.tsv"}}
    config = {"tokenizer": {"name": "asr/char"}, **yaml.safe_load(text), "dataset": data}
    assert problems(TrainingConfig, config, "training") == []
    frontend = validate(TrainingConfig, config, "training").model.config.frontend.config
    wanted = {key: value for key, value in SHERPA.items() if key not in ("name", "n_mels")}
    assert frontend == KaldiFbankConfig(**wanted)
