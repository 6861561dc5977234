"""espnet3 export: graphs that compute what the bundle computes, in programs that know nothing of torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import espnet3_core
import numpy as np
import onnx
import onnxruntime
import pytest
import sherpa_onnx
import soundfile
import torch
from digit_bundles import RATE, SHERPA, Bundle, recordings
from espnet3_core.cli.main import main
from espnet3_core.errors import UserError
from espnet3_core.specs import ExportSpec
from espnet3_onnx import write

SMALL = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 2}
KERNELS = {"cgmlp_units": 16, "cgmlp_kernel": 7, "merge_kernel": 7}
RNN = {"name": "speech/rnn", "hidden_size": 16, "num_layers": 2}

WITHOUT_TORCH = """
import sys
import numpy as np, onnxruntime, soundfile

folder, *paths = sys.argv[1:]
session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
symbols = [line.rsplit(" ", 1)[0] for line in open(f"{folder}/tokens.txt", encoding="utf-8")]
audio = [soundfile.read(path, dtype="float32")[0] for path in paths]
lengths = np.array([len(samples) for samples in audio])
speech = np.zeros((len(audio), lengths.max()), np.float32)
for row, samples in zip(speech, audio):
    row[: len(samples)] = samples
log_probs, frames = session.run(None, {"speech": speech, "speech_lengths": lengths})
for path, count in zip(log_probs.argmax(-1), frames):
    path = path[:count]
    ids = path[np.flatnonzero(np.diff(path, prepend=-1))]
    print("".join(symbols[i] for i in ids if 1 < i < len(symbols) - 1).replace("\\u2581", " ").strip())
assert not {name.partition(".")[0] for name in sys.modules} & {"torch", "espnet3_core"}
"""


def export(bundle: Path, kind: str, output: Path) -> dict[str, Any]:
    assert main(["export", str(bundle), "--format", kind, "--output", str(output)]) == 0
    report: dict[str, Any] = json.loads((output / "parity.json").read_text("utf-8"))
    return report


def test_onnxruntime_reads_real_recordings_without_torch(learnt: Path, exports: dict[str, Path]) -> None:
    report = json.loads((exports["onnx"] / "parity.json").read_text("utf-8"))
    spoken = recordings(12)
    model = espnet3_core.load(learnt, device="cpu")
    ours = [model(path).text for path in spoken]
    assert ours[:4] == list(spoken.values())[:4]  # learnt by heart; the others are whatever it hears

    command = [sys.executable, "-c", WITHOUT_TORCH, str(exports["onnx"]), *map(str, spoken)]
    found = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=True)
    assert found.stdout.splitlines() == ours

    (graph,) = report["graphs"].values()
    assert graph["same_text"] is True
    assert graph["largest_difference"]["log_probs"] < 1e-3
    assert [example["inputs"]["speech"][0] for example in graph["examples"]] == [2, 1, 1]
    assert graph["examples"][-1]["text"] == [ours[0]]
    assert report["bundle"]["weights"] == model.manifest.files["model.safetensors"]["sha256"]


def test_the_real_sherpa_onnx_decodes_real_recordings(learnt: Path, exports: dict[str, Path]) -> None:
    recognizer = sherpa_onnx.OfflineRecognizer.from_zipformer_ctc(
        model=str(exports["sherpa-onnx"] / "model.onnx"),
        tokens=str(exports["sherpa-onnx"] / "tokens.txt"),
        sample_rate=RATE,
        feature_dim=SHERPA["n_mels"],
    )
    model = espnet3_core.load(learnt, device="cpu")
    for path, text in recordings(12).items():
        samples, rate = soundfile.read(path, dtype="float32")
        stream = recognizer.create_stream()
        stream.accept_waveform(rate, samples)
        recognizer.decode_stream(stream)
        ours = model(path)
        assert stream.result.text.strip() == ours.text, path.name
        if path in recordings(4):
            assert ours.text == text
            starts = [word.start for word in ours.words]
            assert np.allclose(stream.result.timestamps, starts, atol=1e-3)


def test_free_axes_and_metadata(learnt: Path, exports: dict[str, Path]) -> None:
    file = exports["onnx"] / "model.onnx"
    proto = onnx.load(file)
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    assert metadata == {"sample_rate": "8000", "frame_seconds": "0.04", "blank_id": "0"}
    assert (
        str(Path(espnet3_core.__file__).parents[2]).encode() not in file.read_bytes()
    )  # no traces of this machine
    session = onnxruntime.InferenceSession(file)
    assert [entry.shape for entry in session.get_inputs()] == [["batch", "samples"], ["batch"]]
    vocabulary = len(espnet3_core.load(learnt, device="cpu").tokenizer)
    assert session.get_outputs()[0].shape == ["batch", "frames", vocabulary]
    noise = np.random.default_rng(0).standard_normal((5, 30011)).astype(np.float32) * 0.1
    lengths = np.array([30011, 20000, 9000, 801, 400])
    together, frames = session.run(None, {"speech": noise, "speech_lengths": lengths})
    for row, length in enumerate(lengths):
        alone = session.run(None, {"speech": noise[row : row + 1, :length], "speech_lengths": [length]})[0]
        assert np.abs(alone[0, : frames[row]] - together[row, : frames[row]]).max() < 1e-3


ENCODERS = [
    {"name": "speech/conformer", "conv_kernel": 7, **SMALL},
    RNN,
    pytest.param({"name": "speech/transformer", **SMALL}, marks=pytest.mark.slow),
    pytest.param({"name": "speech/conformer", "positions": "rope", **SMALL}, marks=pytest.mark.slow),
    pytest.param(
        {"name": "speech/fast_conformer", "subsampling_channels": 8, **SMALL}, marks=pytest.mark.slow
    ),
    pytest.param({"name": "speech/e_branchformer", **KERNELS, **SMALL}, marks=pytest.mark.slow),
    pytest.param({**RNN, "cell": "lstm", "input_layer": "stack"}, marks=pytest.mark.slow),
    pytest.param({**RNN, "bidirectional": False, "input_layer": "conv2d"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda node: "-".join(map(str, node.values())))
def test_every_encoder(bundle: Bundle, tmp_path: Path, encoder: dict[str, Any]) -> None:
    made = bundle(encoder=encoder, tokenizer="asr/char")
    report = export(made, "onnx", tmp_path / "out")
    assert report["graphs"]["model"]["largest_difference"]["log_probs"] < 1e-3
    # Longer than anything that the graph was made or compared with.
    samples = np.random.default_rng(0).standard_normal(12 * RATE).astype(np.float32) * 0.1
    model = espnet3_core.load(made, device="cpu")
    with torch.no_grad():
        encoded = model.model.encode(torch.from_numpy(samples)[None], torch.tensor([len(samples)]))
        expected = model.model.ctc.log_probs(encoded.features).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    found, frames = session.run(None, {"speech": samples[None], "speech_lengths": [len(samples)]})
    assert frames.tolist() == encoded.lengths.tolist()
    assert np.abs(found - expected).max() < 1e-3
    assert (tmp_path / "out/tokens.txt").read_text("utf-8").splitlines()[2] == "\u2581 2"


def test_a_graph_that_computes_something_else_is_not_kept(learnt: Path, tmp_path: Path) -> None:
    spec = ExportSpec(format="x", system="asr/recognition", target="digit_bundles:drifting")
    with pytest.raises(UserError, match=r"model\.onnx computes something else than the bundle: y differs by"):
        write.write_export(espnet3_core.load(learnt, device="cpu"), spec, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        (
            "sherpa-onnx",
            {},
            ("speech/log_mel", "fmax: -400.0, snip_edges: false, scale: 1.0", "--format onnx"),
        ),
        ("sherpa-onnx", {"frontend": {**SHERPA, "fmax": 0.0}}, ("fmax is 0.0, not -400.0",)),
        ("sherpa-onnx", {"frontend": SHERPA, "tokenizer": "asr/byte"}, ("asr/byte", "asr/char")),
        ("onnx", {"name": "asr/ctc_attention", "ctc_weight": 0.0}, ("ctc_weight 0", "0.3")),
    ],
)
def test_bundles_that_have_no_such_form(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, options: Any, words: Any
) -> None:
    made = bundle(**options)
    assert main(["export", str(made), "--format", kind, "--output", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in words), told
    assert not (tmp_path / "out").exists()


def test_mistakes(
    learnt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(learnt), "--format", "onyx"]) == 2
    told = capsys.readouterr().err
    assert "there is no export format 'onyx'" in told
    assert "onnx (" in told and "sherpa-onnx (" in told

    Path("digits-onnx").mkdir()
    Path("digits-onnx/thesis.txt").write_text("mine")
    assert main(["export", str(learnt), "--format", "onnx"]) == 2
    assert "digits-onnx exists" in capsys.readouterr().err
    assert main(["export", str(learnt), "--format", "onnx", "--force"]) == 2
    assert "no export, so --force does not replace it" in capsys.readouterr().err
    assert Path("digits-onnx/thesis.txt").read_text() == "mine"

    shutil.copytree(learnt, "other")
    manifest = json.loads(Path("other/manifest.json").read_text("utf-8"))
    Path("other/manifest.json").write_text(json.dumps({**manifest, "system": "acme/notes"}), "utf-8")
    assert main(["export", "other", "--format", "onnx"]) == 2
    assert "bundles of acme/notes are not exported as onnx" in capsys.readouterr().err


def test_force_replaces_an_export(exports: dict[str, Path]) -> None:
    for folder in exports.values():
        assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "parity.json", "tokens.txt"]
