import csv
import hashlib

import numpy as np
import pytest
import soundfile
from espnet3_core.data.builder import run_builder
from espnet3_core.errors import UserError


@pytest.fixture
def builder_module(recipe_module, no_corpora):
    return recipe_module("fsdd/asr", "dataset.builder")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """All 3,000 recordings, each a few samples that tell it from the others."""
    folder = tmp_path_factory.mktemp("corpora") / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    lines = []
    for number, name in enumerate(
        sorted(f"{d}_{s}_{i}.wav" for d in range(10) for s in speakers for i in range(50))
    ):
        soundfile.write(folder / name, np.full(8, number + 1, np.int16), 8000, subtype="PCM_16")
        lines.append(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n")
    return folder.parent, hashlib.sha256("".join(lines).encode()).hexdigest()


def rows(folder, part):
    with open(folder / f"{part}.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def make(builder_module, tmp_path, **options):
    return builder_module.FSDDBuilder(
        **{"train_passes": 1, "test_passes": 3 if options.get("split") != "unseen" else 2, **options},
        recipe_dir=tmp_path,
    )


@pytest.mark.parametrize("split", ["official", "unseen"])
def test_parts_share_no_recording_and_no_held_out_speaker(
    builder_module, corpus, tmp_path, monkeypatch, split
):
    folder, checksum = corpus
    monkeypatch.setattr(builder_module, "CHECKSUM", checksum)
    builder = make(builder_module, tmp_path, corpus=str(folder), split=split)
    assert run_builder(builder)
    parts = {part: rows(tmp_path / "data" / split, part) for part in ("train", "valid", "test")}
    used = {part: {n for row in found for n in row["recordings"].split()} for part, found in parts.items()}
    assert not used["train"] & used["test"]
    assert not used["train"] & used["valid"]
    assert not used["valid"] & used["test"]
    digits = sum(len(row["text"].split()) for row in parts["test"])
    assert digits >= 900
    if split == "official":
        assert {int(name.split("_")[2]) for name in used["test"]} == {0, 1, 2, 3, 4}
        assert len(used["test"]) == 300
    else:
        assert {row["speaker"] for row in parts["test"]} == {"theo"}
        assert {row["speaker"] for row in parts["valid"]} == {"lucas"}
        assert {row["speaker"] for row in parts["train"]} == {"george", "jackson", "nicolas", "yweweler"}
    row = parts["test"][0]
    samples, rate = soundfile.read(tmp_path / "data" / split / row["path"], dtype="int16")
    assert rate == 8000
    assert np.count_nonzero(samples) == 8 * len(row["text"].split())
    assert not run_builder(builder)
    assert not make(builder_module, tmp_path, corpus=str(folder), split=split, version=1).is_built()


def test_a_changed_corpus_is_refused(builder_module, corpus, tmp_path):
    with pytest.raises(UserError, match="3000 wav files are not FSDD as of commit 26eb9aaf"):
        run_builder(make(builder_module, tmp_path, corpus=str(corpus[0])))


def test_the_shared_corpora_come_before_the_download(builder_module, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ESPNET3_CORPORA", str(corpus[0].parent))
    assert make(builder_module, tmp_path).is_source_prepared()


def test_a_given_folder_without_the_corpus(builder_module, tmp_path):
    with pytest.raises(UserError, match="corpus: no FSDD in") as error:
        run_builder(make(builder_module, tmp_path, corpus=str(tmp_path)))
    assert "recordings/0_george_0.wav" in error.value.hint


def test_without_corpus_and_network_the_message_names_the_sample(builder_module, tmp_path, monkeypatch):
    def offline(*_, **__):
        raise UserError("cannot reach github.com")

    monkeypatch.setattr("espnet3_core.data.corpus.download", offline)
    with pytest.raises(UserError, match="neither .* nor can it be downloaded: cannot reach") as error:
        run_builder(make(builder_module, tmp_path))
    assert "training_sample" in error.value.hint


def test_a_misspelt_split(builder_module, tmp_path):
    with pytest.raises(UserError, match="'offical' is not a split"):
        make(builder_module, tmp_path, split="offical")


@pytest.mark.parametrize(("name", "slope"), [("white", 0), ("pink", -3), ("brown", -6)])
def test_noise_falls_by_so_many_db_per_octave(builder_module, tmp_path, name, slope):
    builder_module._write_noise(tmp_path)
    samples, rate = soundfile.read(tmp_path / f"{name}.flac")
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / rate)
    octaves = [
        10 * np.log10(power[(hertz >= f) & (hertz < 2 * f)].mean()) for f in (125, 250, 500, 1000, 2000)
    ]
    assert np.diff(octaves) == pytest.approx([slope] * 4, abs=0.5)
    assert len(samples) == 30 * rate
