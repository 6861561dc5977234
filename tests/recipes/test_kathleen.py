import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.data.builder import run_builder
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import open_manifest
from espnet3_core.errors import UserError

RECIPE = Path(__file__).parents[2] / "recipes/kathleen/tts"


@pytest.fixture
def builder(recipe_module, no_corpora):
    return recipe_module("kathleen/tts", "dataset.builder")


def items(path, name):
    config = ManifestConfig(path=str(path / "data" / f"{name}.tsv"))
    dataset = open_manifest(config, recipe_dir=path, sample_rate=16000)
    return [dataset[index] for index in range(len(dataset))]


def prepared_corpus(folder, last="What?"):
    folder.mkdir(parents=True)
    lines = ["path\tduration\ttranscript\tspeaker\tsplit"]
    for number, (split, text) in enumerate(
        [("train", "Hi."), ("train", 'He said "no".'), ("dev", "Yes."), ("test", last)]
    ):
        soundfile.write(folder / f"u{number}.flac", np.full(800, 0.1), 16000)
        lines.append(f"u{number}.flac\t0.05\t{text}\tkathleen\t{split}")
    (folder / "manifest.tsv").write_text("\n".join(lines) + "\n")


def test_a_listed_corpus_stays_where_it_is(builder, tmp_path):
    prepared_corpus(tmp_path / "corpus")
    run_builder(builder.KathleenBuilder("corpus", recipe_dir=tmp_path))
    assert [item["text"] for item in items(tmp_path, "train")] == ["Hi.", 'He said "no".']
    assert [item["id"] for item in items(tmp_path, "valid")] == ["u2"]
    (found,) = items(tmp_path, "test")
    assert (found["text"], found["speaker"], len(found["speech"])) == ("What?", "kathleen", 800)


def test_a_missing_transcript_is_told_with_its_line(builder, tmp_path):
    prepared_corpus(tmp_path / "corpus", last=" ")
    with pytest.raises(UserError, match=r"manifest\.tsv:5: u3\.flac has no transcript"):
        run_builder(builder.KathleenBuilder("corpus", recipe_dir=tmp_path))


def test_what_is_not_whole_is_told_with_its_line(builder, tmp_path):
    prepared_corpus(tmp_path / "corpus")
    listing = tmp_path / "corpus/manifest.tsv"
    whole = listing.read_text("utf-8")
    for old, new, message in (
        ("\ttest", "\tevaluation", r"manifest\.tsv:5: split 'evaluation' is none of train, dev, test"),
        ("u3.flac", "u9.flac", r"manifest\.tsv:5: there is no recording .*u9\.flac"),
        ("\tdev", "\ttrain", "there is nothing for dev in its 4 lines"),
        ("transcript", "said", r"manifest\.tsv:1: there is no column transcript"),
    ):
        assert old in whole
        listing.write_text(whole.replace(old, new), "utf-8")
        with pytest.raises(UserError, match=message):
            run_builder(builder.KathleenBuilder("corpus", recipe_dir=tmp_path))


def test_what_is_built_stays_when_the_corpus_is_out_of_sight(builder, tmp_path, monkeypatch):
    prepared_corpus(tmp_path / "corpora/kathleen")
    monkeypatch.setenv("ESPNET3_CORPORA", str(tmp_path / "corpora"))
    assert run_builder(builder.KathleenBuilder(recipe_dir=tmp_path))
    monkeypatch.delenv("ESPNET3_CORPORA")
    assert not run_builder(builder.KathleenBuilder(recipe_dir=tmp_path))


def test_recordings_of_another_rate_are_refused(builder, tmp_path):
    prepared_corpus(tmp_path / "corpus")
    soundfile.write(tmp_path / "corpus/u3.flac", np.full(1600, 0.1), 22050)
    run_builder(builder.KathleenBuilder("corpus", recipe_dir=tmp_path))
    with pytest.raises(UserError, match="22050 Hz") as caught:
        items(tmp_path, "test")
    assert "u3" in caught.value.message
    assert "16000" in caught.value.message + caught.value.hint


@pytest.mark.parametrize(("text", "message"), [(None, "cannot be read"), (" \n", "is empty")])
def test_a_recording_of_the_repository_without_a_text_is_told(builder, tmp_path, text, message):
    name = (RECIPE / "dataset/splits.tsv").read_text().splitlines()[1].split("\t")[0]
    soundfile.write(tmp_path / f"{name}.wav", np.zeros((480, 2)), 48000)
    if text is not None:
        (tmp_path / f"{name}.txt").write_text(text)
    with pytest.raises(UserError, match=rf"{name}\.txt: {message}"):
        run_builder(builder.KathleenBuilder(".", recipe_dir=tmp_path))


def test_the_repository_is_downloaded_and_brought_to_16_khz(builder, tmp_path, monkeypatch):
    splits = (RECIPE / "dataset/splits.tsv").read_text().splitlines()
    chosen = [
        splits[0],
        *(next(line for line in splits if line.endswith(part)) for part in ("train", "dev", "test")),
    ]
    (tmp_path / "splits.tsv").write_text("\n".join(chosen) + "\n")
    monkeypatch.setattr(builder, "_splits_file", lambda: tmp_path / "splits.tsv")
    root = tmp_path / f"dataset-voice-cathy-{builder.COMMIT}"
    root.mkdir()
    time = np.arange(48000) / 48000
    left = 0.4 * np.sin(2 * np.pi * 440 * time)
    for line in chosen[1:]:
        name = line.split("\t")[0]
        soundfile.write(root / f"{name}.wav", np.stack([left, np.zeros(48000)], 1), 48000)
        (root / f"{name}.txt").write_text(f"text of {name}\n")
    with tarfile.open(tmp_path / "archive.tar.gz", "w:gz") as archive:
        archive.add(root, root.name)
    monkeypatch.setattr(builder, "ARCHIVE", (tmp_path / "archive.tar.gz").as_uri())
    recipe = tmp_path / "recipe"
    recipe.mkdir()
    run_builder(builder.KathleenBuilder(recipe_dir=recipe))
    (found,) = items(recipe, "valid")
    assert found["text"] == f"text of {found['id']}"
    assert len(found["speech"]) == 16000
    wanted = 0.2 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(found["speech"][500:-500], wanted[500:-500], atol=2e-3)


def test_what_is_no_corpus_is_told(builder, tmp_path):
    with pytest.raises(UserError, match=r"corpus: no kathleen in nowhere"):
        run_builder(builder.KathleenBuilder("nowhere", recipe_dir=tmp_path))


def test_takes_and_splits():
    rows = [line.split("\t") for line in (RECIPE / "dataset/splits.tsv").read_text().splitlines()[1:]]
    counts = {split: sum(row[1] == split for row in rows) for split in ("train", "dev", "test")}
    assert counts == {"train": 1067, "dev": 33, "test": 21}
    prompts = {split: {name.split("_")[1] for name, part in rows if part == split} for split in counts}
    assert len(prompts["test"]) == 21
    assert prompts["test"].isdisjoint(prompts["train"] | prompts["dev"])
