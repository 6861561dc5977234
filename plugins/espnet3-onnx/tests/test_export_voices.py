"""espnet3 export of synthesis: tokens to spectrograms to audio, in a program that knows nothing of torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import espnet3_core
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from espnet3_core.cli.main import main
from voice_bundles import BANDS, SPEAKERS

MEL, AUDIO = 1e-3, 1e-4
"""Largest differences."""
WITHOUT_TORCH = """
import json, sys
import numpy as np, onnxruntime

acoustic, vocoder, text = sys.argv[1:]
words = json.loads(text)
lengths = np.array([len(ids) for ids in words])
ids = np.full((len(words), lengths.max()), -1)
for row, known in zip(ids, words):
    row[: len(known)] = known
session = onnxruntime.InferenceSession(f"{acoustic}/acoustic.onnx")
speaker = np.arange(len(words)) % 2
mel, frames, durations = session.run(None, {"text": ids, "text_lengths": lengths, "speaker": speaker})
session = onnxruntime.InferenceSession(f"{vocoder}/vocoder.onnx")
audio = [session.run(None, {"mel": row[None, :n]})[0][0] for row, n in zip(mel, frames)]
audio = {f"audio{number}": samples for number, samples in enumerate(audio)}
np.savez("said.npz", mel=mel, frames=frames, durations=durations, **audio)
assert not {name.partition(".")[0] for name in sys.modules} & {"torch", "espnet3_core"}
"""


def report(folder: Path) -> dict[str, Any]:
    (graph,) = json.loads((folder / "parity.json").read_text("utf-8"))["graphs"].values()
    return dict(graph)


def test_onnxruntime_says_what_the_bundles_say_without_torch(voices: dict[str, Path], tmp_path: Path) -> None:
    model = espnet3_core.load(voices["acoustic"], device="cpu")
    texts = [model.tokenizer.encode(text) for text in ("good morning to you", "no", "a somewhat longer one")]
    rows = [list(map(int, ids)) for ids in texts]
    command = [sys.executable, "-c", WITHOUT_TORCH, str(voices["acoustic-onnx"]), str(voices["vocoder-onnx"])]
    subprocess.run([*command, json.dumps(rows)], cwd=tmp_path, check=True)
    found = np.load(tmp_path / "said.npz")

    padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in rows], True, -1)
    lengths = torch.tensor([len(ids) for ids in rows])
    said = model.model.speak(padded, lengths, speaker=[SPEAKERS[row % 2] for row in range(len(rows))])
    np.testing.assert_array_equal(found["durations"], said.durations)
    np.testing.assert_array_equal(found["frames"], said.lengths)
    assert said.lengths.max() > 2 * said.lengths.min()
    np.testing.assert_allclose(found["mel"], said.mel, atol=MEL)
    generator = espnet3_core.load(voices["vocoder"], device="cpu").model.generator
    for row, frames in enumerate(said.lengths):
        with torch.no_grad():
            expected = generator(said.mel[row : row + 1, :frames])[0]
        assert expected.std() > 100 * AUDIO
        np.testing.assert_allclose(found[f"audio{row}"], expected, atol=AUDIO)


def test_the_reports_tell_how_well_they_agree(voices: dict[str, Path]) -> None:
    acoustic, vocoder = report(voices["acoustic-onnx"]), report(voices["vocoder-onnx"])
    assert acoustic["largest_difference"]["mel"] < acoustic["tolerance"] == MEL
    assert acoustic["largest_difference"]["durations"] == 0
    assert [example["inputs"]["text"][0] for example in acoustic["examples"]] == [2, 1, 1]
    assert vocoder["largest_difference"]["audio"] < vocoder["tolerance"] == AUDIO
    assert acoustic["same_text"] is vocoder["same_text"] is None


def test_axes_are_free_and_the_files_say_what_goes_in(voices: dict[str, Path]) -> None:
    acoustic = onnxruntime.InferenceSession(voices["acoustic-onnx"] / "acoustic.onnx")
    assert {entry.name: entry.shape for entry in acoustic.get_inputs()} == {
        "text": ["batch", "tokens"], "text_lengths": ["batch"], "speaker": ["batch"]
    }  # fmt: skip
    assert acoustic.get_outputs()[0].shape == ["batch", "frames", BANDS]
    metadata = onnx.load(voices["acoustic-onnx"] / "acoustic.onnx").metadata_props
    assert {entry.key: entry.value for entry in metadata} == {
        "sample_rate": "8000", "hop": "128", "speakers": "anna,bert"
    }  # fmt: skip
    vocoder = onnxruntime.InferenceSession(voices["vocoder-onnx"] / "vocoder.onnx")
    assert [entry.shape for entry in vocoder.get_inputs()] == [["batch", "frames", BANDS]]
    lines = (voices["acoustic-onnx"] / "tokens.txt").read_text("utf-8").splitlines()
    assert [int(line.rsplit(" ", 1)[1]) for line in lines] == list(range(len(lines)))


def test_a_model_that_offers_no_graph_is_told(
    voices: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from espnet3_tts.models.hifigan.model import HifiGan

    monkeypatch.delattr(HifiGan, "graph")
    words = ["export", str(voices["vocoder"]), "--format", "onnx", "--output", str(tmp_path / "out")]
    assert main(words) == 2
    assert "model tts/hifigan does not say how it becomes a graph" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
