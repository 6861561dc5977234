"""A small recogniser packed, loaded again, and used on files and arrays."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from espnet3_core import load
from espnet3_core.bundle.stage import pack_model
from espnet3_core.catalog import current_catalog
from espnet3_core.config.roles import InferenceConfig, PublicationConfig, TrainingConfig
from espnet3_core.config.schema import validate
from espnet3_core.errors import UserError
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.stages import PACK_MODEL
from safetensors.torch import save_file

RATE = 8000
TRAINING = {
    "dataset": {"sample_rate": RATE, "train": {"name": "core/manifest", "path": "train.tsv"}},
    "tokenizer": {"name": "asr/char"},
    "model": {
        "name": "asr/ctc",
        "frontend": {"name": "speech/log_mel", "n_mels": 20},
        "encoder": {"name": "speech/transformer", "output_size": 16, "attention_heads": 2, "num_blocks": 1},
    },
}
INFERENCE = {"test_sets": {}, "search": {"name": "asr/ctc_greedy"}}


def context_of(
    directory: Path, training: dict[str, Any] | None = None, inference: dict[str, Any] | None = None
) -> StageContext:
    roles: dict[str, Any] = {
        "training": validate(TrainingConfig, training or TRAINING, "training"),
        "inference": validate(InferenceConfig, inference or INFERENCE, "inference"),
        "publication": validate(PublicationConfig, {"title": "Tiny", "language": ["en"]}, "publication"),
    }
    recipe: Any = SimpleNamespace(directory=directory, system=SimpleNamespace(name="asr/recognition"))
    configs: Any = {role: SimpleNamespace(config=config) for role, config in roles.items()}
    return StageContext(recipe, Experiment(directory / "exp"), PACK_MODEL, {}, current_catalog(), configs)


@pytest.fixture
def context(tmp_path: Path) -> StageContext:
    """An experiment with a tokenizer and random weights."""
    context = context_of(tmp_path)
    tokenizer = context.config("training").tokenizer.build()
    tokenizer.train(["one two three"])
    tokenizer.save(context.experiment.tokenizer)
    torch.manual_seed(1)
    model = context.build_model()
    context.experiment.checkpoints.mkdir(parents=True)
    save_file(
        {k: v.contiguous() for k, v in model.state_dict().items()},
        context.experiment.checkpoints / "average.safetensors",
        metadata={"epoch": "3"},
    )
    context.inference_directory.mkdir()
    (context.inference_directory / "metrics.json").write_text('{"wer": {"test": {"wer": 7.5}}}')
    return context


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32)


def test_pack_load_and_recognise(context: StageContext, tmp_path: Path) -> None:
    pack_model(context)
    bundle = context.experiment.bundle
    before = {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
    pack_model(context)
    assert {path: path.read_bytes() for path in bundle.rglob("*") if path.is_file()} == before
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert manifest["schema"] == 1
    assert manifest["metrics"]["wer"]["test"]["wer"] == 7.5
    assert manifest["training"]["checkpoint"] == "average.safetensors"
    assert manifest["training"]["epoch"] == 3
    names = {(part["kind"], part["name"]) for part in manifest["components"]}
    assert {("model", "asr/ctc"), ("module", "speech/transformer"), ("tokenizer", "asr/char")} <= names
    assert str(tmp_path) not in "".join(b.decode("utf-8", "ignore") for b in before.values())

    model = load(bundle, device="cpu")
    lengths = (0.8, 1.6, 0.5)
    arrays = [noise(seconds, seed) for seed, seconds in enumerate(lengths)]
    results = model.batch(arrays, sample_rate=RATE)
    own = context.build_model().eval()
    own.load_state_dict(model.model.state_dict())
    for array, result, seconds in zip(arrays, results, lengths, strict=True):
        batch = {
            "ids": ["x"],
            "speech": torch.from_numpy(array)[None],
            "speech_lengths": torch.tensor([len(array)]),
        }
        (expected,) = own.infer(batch)
        assert result.text == expected["text"]
        assert result.seconds == pytest.approx(seconds)
        assert list(result.tokens) == expected["tokens"]
        assert result.score == pytest.approx(expected["score"], abs=1e-3)
        assert [word.word for word in result.words] == result.text.split()
        assert result.nbest[0].text == result.text


def test_files_and_rates(context: StageContext, tmp_path: Path) -> None:
    pack_model(context)
    model = load(context.experiment.bundle)
    audio = noise(1.0)
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "stereo.wav", np.stack([audio, audio], 1), RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "fast.wav", noise(2.0), 2 * RATE)
    here = model(tmp_path / "a.wav")
    assert here.id == str(tmp_path / "a.wav")
    assert here.text == model(audio, sample_rate=RATE).text == model(tmp_path / "stereo.wav").text
    assert model(tmp_path / "fast.wav").seconds == pytest.approx(1.0)
    assert model((audio * 32767).astype(np.int16), sample_rate=RATE).seconds == 1.0
    with pytest.raises(UserError, match="its rate is not known"):
        model(audio)
    with pytest.raises(UserError, match="2 channels"):
        model(tmp_path / "stereo.wav", channels="reject")
    with pytest.raises(UserError, match=r"gone\.wav does not exist"):
        model(tmp_path / "gone.wav")


def test_own_code_is_refused(context: StageContext, tmp_path: Path) -> None:
    training = {**TRAINING, "model": {"_target_": "src.model.Mine"}}
    with pytest.raises(UserError, match=r"src\.model\.Mine is chosen by import path") as caught:
        pack_model(context_of(tmp_path, training))
    assert "espnet3 plugin from-recipe" in str(caught.value)


def test_bundles_that_cannot_be_used(context: StageContext) -> None:
    pack_model(context)
    path = context.experiment.bundle / "manifest.json"
    manifest = json.loads(path.read_text())

    def with_parts(part: dict[str, str]) -> None:
        path.write_text(json.dumps({**manifest, "components": [*manifest["components"], part]}))

    with_parts({"kind": "module", "name": "acme/x", "distribution": "espnet3-acme", "version": "2.0"})
    with pytest.raises(UserError, match="needs espnet3-acme, which is not installed") as caught:
        load(context.experiment.bundle)
    assert caught.value.hint == "pip install 'espnet3-acme>=2.0'"
    path.write_text(json.dumps(manifest))
    config = context.experiment.bundle / "config.json"
    config.write_text(config.read_text().replace("asr/ctc_greedy", "asr/ctc_greedz"))
    with pytest.raises(UserError, match="another SHA-256"):
        load(context.experiment.bundle)
    config.write_text('{"model": {"_target_": "os.system", "command": "true"}}')
    with pytest.raises(UserError, match="chosen by import path"):
        load(context.experiment.bundle, verify=False)


def test_weights_of_another_model(context: StageContext) -> None:
    save_file({"x": torch.zeros(1)}, context.experiment.checkpoints / "average.safetensors")
    with pytest.raises(UserError, match="checkpoint of another model"):
        pack_model(context)
