"""The recipe of LJSpeech: its builder, and all stages with Matcha-TTS on a few sentences."""

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.cli.main import main
from espnet3_core.data.builder import run_builder
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import open_manifest
from espnet3_core.errors import UserError
from espnet3_core.files import file_digest

RECIPE = Path(__file__).parents[2] / "recipes/ljspeech/tts"
SUBSET = Path(os.environ.get("ESPNET3_CORPORA", "nowhere")) / "ljspeech_subset"
RATE = 22050


@pytest.fixture
def module(recipe_module, no_corpora):
    return recipe_module("ljspeech/tts", "dataset.builder")


def items(path, name):
    manifest = open_manifest(ManifestConfig(path=f"data/{name}.tsv"), recipe_dir=path, sample_rate=RATE)
    return [manifest[index] for index in range(len(manifest))]


def archived_corpus(folder, texts):
    """The layout of the archive."""
    (folder / "wavs").mkdir(parents=True)
    lines = []
    for number, text in enumerate(texts, 1):
        name = f"LJ001-{number:04d}"
        soundfile.write(folder / "wavs" / f"{name}.wav", np.full(600 + number, 0.1), RATE, subtype="PCM_16")
        lines.append(f"{name}|{text}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


TEXTS = [
    "It cost £5.|It cost five pounds.",
    'He said "no".|He said "no".',
    "Three.|",
    "Fo\tur.|Fo\tur.",
    "Fünf.|Fünf.",
]


def test_the_last_clips_are_held_out(module, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HELD_OUT", 1)
    archived_corpus(tmp_path / "corpora" / "LJSpeech-1.1", TEXTS)
    monkeypatch.setenv("ESPNET3_CORPORA", str(tmp_path / "corpora"))
    builder = module.LJSpeechBuilder(recipe_dir=tmp_path)
    assert builder.is_source_prepared()
    assert run_builder(builder)
    assert builder.is_built()
    assert not run_builder(builder)
    train = items(tmp_path, "train")
    assert [item["text"] for item in train] == ["It cost five pounds.", 'He said "no".', "Three."]
    assert (train[0]["id"], train[0]["speaker"]) == ("LJ001-0001", "LJ")
    assert len(train[0]["speech"]) == 601
    assert [item["text"] for item in items(tmp_path, "valid")] == ["Fo ur."]
    assert [item["text"] for item in items(tmp_path, "test")] == ["Fünf."]


def test_a_part_without_development_sentences(module, tmp_path):
    folder = tmp_path / "part"
    folder.mkdir()
    lines = ["path\ttranscript\tsplit"]
    for number in range(20):
        soundfile.write(folder / f"u{number}.wav", np.zeros(600), RATE)
        lines.append(f"u{number}.wav\tText {number}.\t{'test' if number < 2 else 'train'}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")
    run_builder(module.LJSpeechBuilder("part", recipe_dir=tmp_path))
    assert [item["id"] for item in items(tmp_path, "test")] == ["u0", "u1"]
    assert [item["id"] for item in items(tmp_path, "valid")] == ["u9", "u17"]
    assert len(items(tmp_path, "train")) == 16


def test_the_archive_is_downloaded_and_verified(module, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HELD_OUT", 1)
    archived_corpus(tmp_path / "LJSpeech-1.1", TEXTS)
    packed = tmp_path / "packed.tar.bz2"
    with tarfile.open(packed, "w:bz2") as archive:
        archive.add(tmp_path / "LJSpeech-1.1", "LJSpeech-1.1")
    monkeypatch.setattr(module, "ARCHIVE", packed.as_uri())
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    with pytest.raises(UserError, match=r"\$ESPNET3_CORPORA/LJSpeech-1\.1 nor can .*sha256") as caught:
        run_builder(module.LJSpeechBuilder(recipe_dir=recipe))
    assert "corpus=FOLDER" in caught.value.hint
    shutil.rmtree(recipe)
    recipe.mkdir()
    monkeypatch.setattr(module, "CHECKSUM", file_digest(packed, "sha256"))
    run_builder(module.LJSpeechBuilder(recipe_dir=recipe))
    assert len(items(recipe, "train")) == 3


def test_what_is_missing_is_told(module, tmp_path):
    with pytest.raises(UserError, match="no LJSpeech in nowhere"):
        run_builder(module.LJSpeechBuilder("nowhere", recipe_dir=tmp_path))
    folder = archived_corpus(tmp_path / "LJ", ["One.|One.", " | "])
    with pytest.raises(UserError, match=r"metadata\.csv:2: LJ001-0002 has no transcript"):
        run_builder(module.LJSpeechBuilder("LJ", recipe_dir=tmp_path))
    (folder / "metadata.csv").write_text("LJ001-0001|One.|One.\nLJ001-0003|Three.|Three.\n")
    with pytest.raises(UserError, match=r"metadata\.csv:2: there is no recording .*LJ001-0003\.wav"):
        run_builder(module.LJSpeechBuilder("LJ", recipe_dir=tmp_path))
    (folder / "metadata.csv").write_text("LJ001-0001|One.|One.\nLJ001-0002|Two.|Two.\n")
    with pytest.raises(UserError, match=r"nothing for train in its 2 lines"):
        run_builder(module.LJSpeechBuilder("LJ", recipe_dir=tmp_path))


@pytest.fixture
def few_sentences(tmp_path):
    """Short sentences of the real corpus where it is, tones in the same layout otherwise."""
    folder = tmp_path / "few"
    folder.mkdir()
    if SUBSET.is_dir():
        header, *lines = (SUBSET / "manifest.tsv").read_text("utf-8").splitlines()
        short = sorted(lines, key=lambda line: float(line.split("\t")[1]))[:10]
        (folder / "wav").symlink_to((SUBSET / "wav").resolve())
    else:
        (folder / "wav").mkdir()
        header, short = "path\tduration\ttranscript\tspeaker\tsplit", []
        for number in range(10):
            tone = 0.3 * np.sin(2 * np.pi * (150 + 20 * number) * np.arange(2 * RATE) / RATE)
            soundfile.write(folder / "wav" / f"u{number}.wav", tone, RATE)
            split = "train" if number else "test"
            short.append(f"wav/u{number}.wav\t2.0\tSentence number {number}.\tLJ\t{split}")
    (folder / "manifest.tsv").write_text("\n".join([header, *short]) + "\n", encoding="utf-8")
    return folder


SMALL = [
    "training.tokenizer.name=tts/characters",
    "training.tokenizer.blank=between",
    "training.model.token_size=16",
    "training.model.encoder.output_size=16",
    "training.model.encoder.linear_units=16",
    "training.model.encoder.num_blocks=1",
    "training.model.duration.channels=16",
    "training.model.unet.channels=[16,16]",
    "training.model.unet.head_size=8",
    "training.trainer.max_steps=-1",
    "training.trainer.max_epochs=1",
    "training.trainer.precision=32-true",
    "training.trainer.accelerator=cpu",
    "training.batch.workers=0",
    "inference.device=cpu",
    "inference.search.vocoder.iterations=2",
    "inference.search.steps=2",
]


def test_matcha_from_recordings_to_a_bundle_that_speaks(few_sentences, tmp_path, monkeypatch, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(RECIPE, copy, ignore=shutil.ignore_patterns("data", "download", "exp", "__pycache__"))
    (copy / "conf/metrics.yaml").write_text("metrics:\n  mcd: {name: tts/mcd}\n  rtf: {name: tts/rtf}\n")
    corpus = f"training.dataset.builder.corpus={few_sentences}"
    stages = "create_dataset,train_tokenizer,collect_stats,train,infer,measure,pack_model"
    words = ["run", str(copy), "--training", "training_matcha", "--stages", stages, corpus, *SMALL]
    assert main(words) == 0, capsys.readouterr().err
    experiment = copy / "exp/training_matcha"
    (record,) = map(json.loads, (experiment / "inference/test/results.jsonl").read_text().splitlines())
    info = soundfile.info(experiment / "inference/test" / record["audio"]["path"])
    assert (info.samplerate, info.frames) == (RATE, 256 * sum(record["durations"]))
    assert json.loads((experiment / "inference/metrics.json").read_text())["mcd"]["test"]["mcd"] > 0
    bundle = ["--model", str(experiment / "bundle"), "--device", "cpu"]

    def spoken(*more):
        assert main(["tts", "It works.", "-o", str(tmp_path / "a.wav"), *bundle, *more]) == 0
        return soundfile.read(tmp_path / "a.wav")[0]

    plain = spoken()
    assert np.array_equal(plain, spoken("--steps", "2"))
    assert len(spoken("--speed", "2")) < 0.7 * len(plain)
    for more in (["--temperature", "0"], ["--steps", "3"]):
        other = spoken(*more)
        assert len(other) == len(plain)
        assert not np.array_equal(other, plain)
    assert main(["tts", "It works.", "-o", str(tmp_path / "b.wav"), *bundle, "--pitch", "1.2"]) == 2
    assert "tts/matcha has no control of it" in capsys.readouterr().err
    assert not (tmp_path / "b.wav").exists()
