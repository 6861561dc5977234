"""The recipe's VITS made tiny: two steps of training, and audio from text without a vocoder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from espnet3_core import load
from espnet3_core.cli.main import main
from espnet3_core.recipe.run import run
from toy_vits import SIZES, as_node

ROOT = Path(__file__).parents[4]
RECIPE = ROOT / "recipes/kathleen/tts"
SAMPLE = ROOT / "recipes/fsdd/asr/sample/manifest.tsv"
STEMS = {"training": "training_vits", "inference": "inference_vits"}


def overrides() -> list[str]:
    """The recipe's configuration on a few short recordings, with small sizes in place of its own."""
    model = {key: value for key, value in as_node().items() if key not in SIZES}
    data = f"{{name: core/manifest, path: {SAMPLE}, where: {{speaker: [flite-slt]}}}}"
    said = [f"training.dataset.{split}={data}" for split in ("train", "valid")]
    said += ["training.dataset.sample_rate=8000", "training.dataset.builder=null", "training.batch.size=11"]
    said += ["training.trainer.max_epochs=1", "training.trainer.accelerator=cpu", "inference.device=cpu"]
    said += [f"inference.test_sets.test={data}"]
    said += ["training.tokenizer={name: tts/characters, blank: between}"]
    said += ["training.callbacks=[{name: tts/pictures, every: 1, utterances: 1}]"]
    said += [f"training.model.{key}={value}" for key, value in SIZES.items()]
    for part, options in model.items():
        for key, value in options.items():
            said.append(f"training.model.{part}.{key}={json.dumps(value)}")
    return said


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its stages through pack_model have run."""
    pytest.importorskip("matplotlib")
    folder = tmp_path_factory.mktemp("kathleen")
    shutil.copy(RECIPE / "recipe.yaml", folder)
    shutil.copytree(RECIPE / "conf", folder / "conf")
    stages = ["train_tokenizer", "collect_stats", "train", "infer", "pack_model"]
    run(folder, stages=stages, stems=STEMS, overrides=overrides())
    return folder / "exp/training_vits"


def test_both_sides_make_two_steps(recipe):
    lines = [json.loads(line) for line in (recipe / "metrics.jsonl").read_text().splitlines()]
    (epoch,) = [line for line in lines if line["kind"] == "epoch"]
    assert epoch["updates/generator"] == epoch["updates/discriminator"] == 2
    names = ("mel", "features", "adversarial", "divergence", "duration")
    assert all(np.isfinite(epoch[f"train/generator/{name}"]) for name in names)
    assert epoch["valid/generator/mel"] > 0


def test_a_picture_and_a_sample_are_written(recipe):
    (picture,), (sample,) = ((recipe / "pictures").glob(f"*.{kind}") for kind in ("png", "wav"))
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert soundfile.info(sample).frames % 64 == 0


def test_results_are_audio_of_whole_frames(recipe):
    folder = recipe / "inference_vits/test"
    records = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert len(records) == 21
    for record in records:
        info = soundfile.info(folder / record["audio"]["path"])
        assert (info.samplerate, info.frames) == (8000, sum(record["durations"]) * 64)
        assert min(record["durations"]) >= 1
        assert len(record["durations"]) == len(record["tokens"])
        assert record["tokens"][::2] == ["<blank>"] * (len(record["tokens"]) // 2 + 1)


def test_the_bundle_says_what_infer_said(recipe):
    folder = recipe / "inference_vits/test"
    record = json.loads((folder / "results.jsonl").read_text().splitlines()[0])
    rows = [line.split("\t") for line in SAMPLE.read_text().splitlines()]
    text = next(row[2] for row in rows if row[0] == record["id"])
    result = load(recipe / "bundle", device="cpu")(text)
    assert result.fields["durations"] == record["durations"]
    wanted, _ = soundfile.read(folder / record["audio"]["path"])
    np.testing.assert_allclose(np.clip(result.audio.samples, -1, 1), wanted, atol=1e-3)


def test_the_command_speaks(recipe, tmp_path, capsys):
    def say(*words: Any) -> tuple[int, str]:
        model = ["--model", recipe / "bundle", "--device", "cpu", "-o", tmp_path / "a.wav"]
        code = main(["tts", "one two three", *map(str, [*model, *words])])
        return code, capsys.readouterr().err

    def samples(*words: Any) -> np.ndarray:
        code, said = say(*words)
        assert code == 0, said
        return soundfile.read(tmp_path / "a.wav")[0]

    plain = samples()
    assert np.abs(plain).max() > 0
    assert np.array_equal(plain, samples())
    other = samples("--seed", 5)
    assert other.shape != plain.shape or not np.array_equal(other, plain)
    assert len(samples("--speed", 2)) < 0.7 * len(plain)
    code, said = say("--vocoder", recipe / "bundle")
    assert code == 2
    assert "Vits makes audio itself, and a vocoder is chosen" in said
    code, said = say("--pitch", 1.2)
    assert code == 2
    assert "pitch is 1.2, and tts/vits has no control of it" in said
