import os
from pathlib import Path

import numpy as np
import pytest
from espnet3_core.data.builder import run_builder
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import open_manifest
from espnet3_core.errors import UserError

MINI = Path(os.environ.get("ESPNET3_CORPORA", Path(__file__).parents[3] / "shared" / "corpora")) / "an4_mini"


@pytest.fixture
def builder_module(recipe_module, no_corpora):
    return recipe_module("an4/asr", "dataset.builder")


def sphere(path, samples):
    """A NIST Sphere file of 16 kHz big-endian samples, as AN4 has them."""
    header = (
        f"NIST_1A\n   1024\nsample_count -i {len(samples)}\nsample_rate -i 16000\nchannel_count -i 1\n"
        "sample_byte_format -s2 10\nsample_n_bytes -i 2\nsample_coding -s3 pcm\nend_head\n"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header.encode().ljust(1024) + samples.astype(">i2").tobytes())


@pytest.fixture
def corpus(tmp_path):
    """Ten training speakers of three utterances, two test utterances."""
    root = tmp_path / "an4"
    (root / "etc").mkdir(parents=True)
    ids = {
        "train": [f"an{n}-s{s:02d}-b" for s in range(10) for n in range(3)],
        "test": ["an7-t01-b", "an8-t02-b"],
    }
    for part, names in ids.items():
        speakers = [name.split("-")[1] for name in names]
        folder = "an4_clstk" if part == "train" else "an4test_clstk"
        paths = [f"{folder}/{speaker}/{name}" for speaker, name in zip(speakers, names, strict=True)]
        (root / "etc" / f"an4_{part}.fileids").write_text("\n".join(paths) + "\n")
        pattern = "<s> E N T E R </s> ({})" if part == "train" else "RUBOUT ONE ({})"
        (root / "etc" / f"an4_{part}.transcription").write_text("\n".join(map(pattern.format, names)) + "\n")
        for number, path in enumerate(paths):
            sphere(root / "wav" / f"{path}.sph", np.arange(100 + number, dtype=np.int16))
    return root


def read(recipe, part):
    manifest = open_manifest(ManifestConfig(path=f"data/{part}.tsv"), sample_rate=16000, recipe_dir=recipe)
    return [manifest[index] for index in range(len(manifest))]


def test_manifests_have_texts_speakers_and_audio(builder_module, corpus, tmp_path):
    recipe = tmp_path / "recipe"
    run_builder(builder_module.AN4Builder(str(corpus.parent), recipe_dir=recipe))
    train, valid, test = (read(recipe, part) for part in ("train", "valid", "test"))
    assert {item["text"] for item in train + valid} == {"E N T E R"}
    assert [item["text"] for item in test] == ["RUBOUT ONE"] * 2
    assert [item["id"] for item in test] == ["an7-t01-b", "an8-t02-b"]
    assert len(test[1]["speech"]) == 101
    assert test[1]["speech"][50] == pytest.approx(50 / 32768)


def test_validation_speakers_are_not_in_training(builder_module, corpus, tmp_path):
    recipe = tmp_path / "recipe"
    run_builder(builder_module.AN4Builder(str(corpus), recipe_dir=recipe))
    train, valid = (read(recipe, part) for part in ("train", "valid"))
    assert len(valid) == 3
    assert len(train) == 27
    assert not {item["speaker"] for item in train} & {item["speaker"] for item in valid}


def test_broken_lists_name_file_and_line(builder_module, corpus, tmp_path):
    listing = corpus / "etc" / "an4_train.transcription"
    listing.write_text("<s> YES </s> (an0-s00-b)\nno id here\n")
    with pytest.raises(UserError, match=r"an4_train.transcription:2: expected words and \(utterance id\)"):
        run_builder(builder_module.AN4Builder(str(corpus), recipe_dir=tmp_path / "recipe"))


def test_missing_audio_is_named(builder_module, corpus, tmp_path):
    (corpus / "wav" / "an4test_clstk" / "t01" / "an7-t01-b.sph").unlink()
    with pytest.raises(UserError, match=r"an4_test.fileids:1: .*an7-t01-b.sph is missing"):
        run_builder(builder_module.AN4Builder(str(corpus), recipe_dir=tmp_path / "recipe"))


@pytest.mark.skipif(not MINI.is_dir(), reason="an4_mini is not on this machine")
def test_real_an4_files(builder_module, tmp_path):
    run_builder(builder_module.AN4Builder(str(MINI), recipe_dir=tmp_path))
    parts = {part: read(tmp_path, part) for part in ("train", "valid", "test")}
    texts = {item["id"]: item["text"] for items in parts.values() for item in items}
    assert texts["an251-fash-b"] == "YES"
    assert texts["cen8-mmxg-b"] == "OCTOBER TWENTY FOUR NINETEEN SEVENTY"
    assert len(parts["train"]) + len(parts["valid"]) == 5
    assert parts["valid"]
    durations = {item["id"]: len(item["speech"]) / 16000 for items in parts.values() for item in items}
    assert durations["an251-fash-b"] == pytest.approx(1.0, abs=0.05)


@pytest.mark.skipif(not MINI.is_dir(), reason="an4_mini is not on this machine")
def test_every_stage_on_real_an4_files(run_recipe):
    scores = run_recipe(
        "an4/asr",
        "--training=training_mini_transformer",
        "--inference=inference_mini",
        f"training.dataset.builder.corpus={MINI.resolve()}",
    )
    assert scores["wer"]["test"]["utterances"] == 2
    assert scores["wer"]["test"]["reference_length"] == 10
