import numpy as np
import pytest
import soundfile
import yaml
from espnet3_core.build import build
from espnet3_core.data.builder import run_builder
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import open_manifest
from espnet3_core.errors import UserError

PARTS = ("train-clean-100", "dev-clean", "dev-other", "test-clean", "test-other")


@pytest.fixture
def builder_module(recipe_module, no_corpora):
    return recipe_module("librispeech_100/asr", "dataset.builder")


@pytest.fixture
def corpus(tmp_path):
    """The layout of LibriSpeech with two speakers of two utterances per part."""
    root = tmp_path / "corpora" / "LibriSpeech"
    for number, part in enumerate(PARTS):
        for speaker in (100 + number, 200 + number):
            chapter = root / part / str(speaker) / "7"
            chapter.mkdir(parents=True)
            lines = []
            for index in range(2):
                name = f"{speaker}-7-{index:04d}"
                soundfile.write(chapter / f"{name}.flac", np.zeros(160 * (index + 1)), 16000)
                lines.append(f"{name} WORDS OF {name.replace('-', ' ')}\n")
            (chapter / f"{speaker}-7.trans.txt").write_text("".join(lines))
    return root


def test_one_manifest_per_part(builder_module, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("ESPNET3_CORPORA", str(corpus.parent))
    run_builder(builder_module.LibriSpeechBuilder(recipe_dir=tmp_path))
    for number, part in enumerate(PARTS):
        config = ManifestConfig(path=f"data/{part}.tsv")
        manifest = open_manifest(config, sample_rate=16000, recipe_dir=tmp_path)
        assert manifest.ids() == [f"{s + number}-7-{i:04d}" for s in (100, 200) for i in range(2)]
        item = manifest[1]
        assert item["text"] == f"WORDS OF {100 + number} 7 0001"
        assert item["speaker"] == str(100 + number)
        assert len(item["speech"]) == 320


@pytest.mark.parametrize("given", ["LibriSpeech", "."])
def test_the_folder_or_its_parent_may_be_given(builder_module, corpus, tmp_path, given):
    builder = builder_module.LibriSpeechBuilder(
        str(corpus.parent / given), ["dev-clean"], recipe_dir=tmp_path
    )
    assert run_builder(builder)
    assert not run_builder(builder)
    assert (tmp_path / "data" / "dev-clean.tsv").is_file()


def test_missing_parts_of_a_given_corpus_are_named(builder_module, corpus, tmp_path):
    parts = ["dev-clean", "train-clean-360"]
    with pytest.raises(UserError, match="lacks train-clean-360"):
        run_builder(builder_module.LibriSpeechBuilder(str(corpus), parts, recipe_dir=tmp_path))


def test_missing_parts_are_downloaded_with_their_checksum(builder_module, tmp_path, monkeypatch):
    asked = []

    def download(url, target, *, sha256):
        asked.append((url, sha256))
        raise UserError("offline")

    monkeypatch.setattr(builder_module, "download", download)
    with pytest.raises(UserError, match="offline"):
        run_builder(builder_module.LibriSpeechBuilder(parts=["dev-clean"], recipe_dir=tmp_path))
    assert asked == [
        ("https://www.openslr.org/resources/12/dev-clean.tar.gz", builder_module.CHECKSUMS["dev-clean"])
    ]


def test_an_utterance_without_audio_is_named(builder_module, corpus, tmp_path):
    (corpus / "dev-clean" / "101" / "7" / "101-7-0001.flac").unlink()
    with pytest.raises(UserError, match=r"101-7.trans.txt:2: .*101-7-0001.flac is missing"):
        run_builder(builder_module.LibriSpeechBuilder(str(corpus), ["dev-clean"], recipe_dir=tmp_path))


def test_an_unknown_part(builder_module, tmp_path):
    with pytest.raises(UserError, match="LibriSpeech has no part dev-cleen"):
        builder_module.LibriSpeechBuilder(parts=["dev-cleen"], recipe_dir=tmp_path)


def test_every_stage_on_a_miniature(run_recipe, corpus, monkeypatch):
    """The recipe with its optimizer, schedule, precision and search, on a smaller model."""
    noise = np.random.default_rng(0)
    for path in corpus.glob("*/*/*/*.flac"):
        soundfile.write(path, 0.1 * noise.standard_normal(16000), 16000)
    monkeypatch.setenv("LIBRISPEECH", str(corpus))
    encoder = {
        "num_blocks": 1,
        "output_size": 16,
        "attention_heads": 2,
        "linear_units": 16,
        "cgmlp_units": 16,
    }
    decoder = {"num_blocks": 1, "linear_units": 16}
    scores = run_recipe(
        "librispeech_100/asr",
        "training.tokenizer.vocab_size=22",
        *(f"training.model.encoder.{key}={value}" for key, value in encoder.items()),
        *(f"training.model.decoder.{key}={value}" for key, value in decoder.items()),
        "training.batch.workers=0",
        "training.trainer.max_epochs=1",
        "inference.search.beam_size=2",
    )
    assert set(scores["wer"]) == {"dev-clean", "dev-other", "test-clean", "test-other"}
    assert scores["wer"]["test-other"]["utterances"] == 4


def test_the_model_has_the_published_number_of_parameters(recipes):
    """38.47 M, with 5,000 tokens."""
    training = yaml.safe_load((recipes / "librispeech_100/asr/conf/training.yaml").read_text("utf-8"))
    needs = {"vocab_size": 5000, "sample_rate": 16000, "stats": None, "tokenizer": None}
    model = build(training["model"], needs, kind="model", path="training.model")
    assert sum(parameter.numel() for parameter in model.parameters()) == 38_471_952
