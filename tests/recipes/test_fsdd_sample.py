import csv
import importlib.util
from random import Random

import pytest
import soundfile


@pytest.fixture
def sample(recipes):
    return recipes / "fsdd" / "asr" / "sample"


@pytest.fixture
def rows(sample):
    with open(sample / "manifest.tsv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture
def make(sample):
    spec = importlib.util.spec_from_file_location("sample_make", sample / "make.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["sample_make"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["sample_make"]


def test_it_is_small_and_complete(sample, rows):
    files = {file.name for file in (sample / "flac").iterdir()}
    assert files == {row["path"].removeprefix("flac/") for row in rows}
    assert sum(file.stat().st_size for file in (sample / "flac").iterdir()) <= 6_000_000
    assert {soundfile.info(sample / row["path"]).samplerate for row in rows} == {8000}


def test_test_voices_speak_no_other_string(rows):
    voices = {
        split: {row["speaker"] for row in rows if row["split"] == split}
        for split in ("train", "valid", "test")
    }
    assert len(set.union(*voices.values())) >= 6
    assert not voices["test"] & (voices["train"] | voices["valid"])
    assert not voices["train"] & voices["valid"]
    programs = {voice.partition("-")[0] for voice in set.union(*voices.values())}
    assert programs == {"flite", "festival", "espeak"}


def test_the_script_makes_these_strings(rows, make):
    expected = []
    for voice in make.VOICES:
        texts = make.digit_strings(voice.strings, Random(f"sample {voice.name}"))
        expected += [(voice.name, voice.split, " ".join(map(str, digits))) for digits in texts]
    assert [(row["speaker"], row["split"], row["text"]) for row in rows] == expected
