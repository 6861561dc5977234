"""``espnet3 asr`` with a small packed model."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from espnet3_asr.transcribe import command
from espnet3_core.bundle.contents import bundle_config, providers
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.cli.main import main
from espnet3_core.config.roles import InferenceConfig, TrainingConfig
from espnet3_core.config.schema import validate

RATE = 8000
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recogniser with random weights."""
    folder = tmp_path_factory.mktemp("model")
    training = validate(
        TrainingConfig,
        {
            "dataset": {"sample_rate": RATE, "train": {"name": "core/manifest", "path": "x"}},
            "tokenizer": {"name": "asr/char"},
            "model": {
                "name": "asr/ctc",
                "frontend": {"name": "speech/log_mel", "n_mels": 20},
                "encoder": {
                    "name": "speech/transformer",
                    "output_size": 16,
                    "attention_heads": 2,
                    "num_blocks": 1,
                },
            },
        },
        "training",
    )
    inference = validate(
        InferenceConfig, {"test_sets": {}, "search": {"name": "asr/ctc_greedy"}}, "inference"
    )
    tokenizer = training.tokenizer.build()
    tokenizer.train(["one two three"])
    torch.manual_seed(3)
    model = training.model.build(sample_rate=RATE, tokenizer=tokenizer, vocab_size=len(tokenizer))
    config = bundle_config(training, inference, folder)
    manifest = Manifest(system="asr/recognition", sample_rate=RATE, components=providers(config))
    write_bundle(folder / "exp" / "a" / "bundle", manifest, config, model.state_dict(), tokenizer)
    return folder / "exp" / "a" / "bundle"


@pytest.fixture
def asr(bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs the command: (exit code, stdout, stderr)."""
    monkeypatch.setenv("ESPNET3_ASR_MODEL", str(bundle))

    def run(*words: Any) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(["asr", *map(str, words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """Two recordings, one in a folder below and at another rate, and a file that is no audio."""
    folder = tmp_path / "audio"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", rng.standard_normal(2 * RATE) * 0.1, RATE)
    soundfile.write(folder / "deep" / "b.flac", rng.standard_normal((3 * 16000, 2)) * 0.1, 16000)
    (folder / "notes.txt").write_text("not audio")
    return folder


def test_one_file_gives_its_text(asr: Command, audio: Path) -> None:
    code, out, err = asr(audio / "a.wav")
    assert code == 0
    assert out.count("\n") == 1
    assert out.strip()
    assert "2.0 s of audio" in err
    assert asr(audio / "a.wav")[1] == out


def test_folders_conversion_and_standard_input(
    asr: Command, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, err = asr(audio, audio / "a.wav")
    lines = [line.split("\t") for line in out.splitlines()]
    assert code == 0
    assert [name for name, _ in lines] == [str(audio / "a.wav"), str(audio / "deep" / "b.flac")]
    assert "b.flac: resampled from 16000 to 8000 Hz, the model's rate and the mean of 2 channels" in err
    data = io.TextIOWrapper(io.BytesIO((audio / "a.wav").read_bytes()))
    monkeypatch.setattr("sys.stdin", data)
    assert asr("-")[1].strip() == lines[0][1]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    code, out, err = asr("-")
    assert (code, out) == (2, "")
    assert "standard input is empty" in err


def test_bad_files_are_named_and_the_others_done(asr: Command, audio: Path) -> None:
    (audio / "bad.wav").write_bytes(b"RIFFrubbish")
    (audio / "tiny.wav").write_bytes(b"")
    code, out, err = asr(audio / "gone.wav", audio, "--format", "json")
    assert code == 2
    assert [Path(entry["file"]).name for entry in json.loads(out)] == ["a.wav", "b.flac"]
    assert f"{audio / 'gone.wav'} does not exist" in err
    assert f"{audio / 'bad.wav'} cannot be decoded" in err
    assert f"{audio / 'tiny.wav'} is empty" in err
    assert "3 failed" in err
    assert "Traceback" not in err
    code, out, err = asr(audio / "gone.wav")
    assert (code, out) == (2, "")


def test_json_has_word_times(asr: Command, audio: Path) -> None:
    (entry,) = json.loads(asr(audio / "a.wav", "--format", "json")[1])
    assert entry["file"] == str(audio / "a.wav")
    assert entry["seconds"] == 2.0
    assert " ".join(word["word"] for word in entry["words"]) == entry["text"]
    assert all(0 <= word["start"] <= word["end"] <= 2.0 for word in entry["words"])


def test_long_recordings_are_cut_and_times_go_on(asr: Command, audio: Path) -> None:
    soundfile.write(audio / "long.wav", np.random.default_rng(2).standard_normal(9 * RATE) * 0.1, RATE)
    (entry,) = json.loads(asr(audio / "long.wav", "--format", "json", "--max-seconds", "4")[1])
    segments = entry["segments"]
    assert len(segments) >= 3
    assert segments[0]["start"] == 0
    assert segments[-1]["end"] == 9
    assert all(a["end"] == b["start"] for a, b in zip(segments, segments[1:], strict=False))
    assert " ".join(part["text"] for part in segments if part["text"]) == entry["text"]
    assert entry["words"][-1]["end"] > 4


def test_output_files_and_folders(asr: Command, audio: Path, tmp_path: Path) -> None:
    assert asr(audio / "a.wav", "--format", "srt", "--output", tmp_path / "a.srt")[:2] == (0, "")
    assert (tmp_path / "a.srt").read_text().startswith("1\n00:00:0")
    assert asr(audio, "--format", "vtt", "--output", f"{tmp_path}/out/")[0] == 0
    assert sorted(p.relative_to(tmp_path).as_posix() for p in (tmp_path / "out").rglob("*.vtt")) == [
        "out/a.vtt",
        "out/deep/b.vtt",
    ]
    code, _, err = asr(audio, "--format", "srt")
    assert code == 2
    assert "one srt file cannot hold 2 recordings" in err
    code, _, err = asr(audio / "a.wav", audio, f"{audio}/../audio/a.wav", "--output", f"{tmp_path}/out/")
    assert code == 2
    assert "would both be written" in err


def test_models(
    asr: Command, audio: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, err = asr(audio / "a.wav", "--model", tmp_path)
    assert code == 2
    assert "it is not a bundle" in err
    monkeypatch.delenv("ESPNET3_ASR_MODEL")
    monkeypatch.chdir(tmp_path)
    code, _, err = asr(audio / "a.wav")
    assert code == 2
    assert "no model was chosen" in err
    monkeypatch.chdir(bundle.parents[2])
    assert asr(audio / "a.wav")[0] == 0
    (bundle.parents[1] / "b" / "bundle").mkdir(parents=True)
    (bundle.parents[1] / "b" / "bundle" / "manifest.json").write_text("{}")
    code, _, err = asr(audio / "a.wav")
    assert code == 2
    assert "there are 2 models here" in err
    assert asr(audio / "a.wav", "--max-seconds", "0")[0] == 2


def test_very_short_audio(asr: Command, tmp_path: Path) -> None:
    for samples in (1, 50, 400):
        soundfile.write(tmp_path / f"{samples}.wav", np.zeros(samples), RATE)
    code, out, err = asr(tmp_path)
    assert "Traceback" not in err
    assert code in (0, 2)
    assert len(out.splitlines()) + err.count(".wav") == 3


def test_groups_keep_the_order(asr: Command, audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = asr(audio)[1]
    monkeypatch.setattr(command, "GROUP_SECONDS", 0.5)
    assert asr(audio)[1] == whole
