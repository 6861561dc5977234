import csv
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import yaml
from espnet3_asr.templates.prepare import FEW_TO_SELECT, checkpoint, prepare, split, unit_of_split
from espnet3_asr.templates.sizes import choose, tokenizer_for
from espnet3_asr.templates.user_data import Utterance
from espnet3_core.config.check import check_folder
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.recipe.template import create_recipe


def utterances(count, **fields):
    return [
        Utterance(id=f"u{n:04d}", path=f"/{n}.wav", text="ab", seconds=2.0, **fields) for n in range(count)
    ]


@pytest.fixture
def data(tmp_path):
    """Ten utterances under headers of other tools, 11.025 kHz."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = ["audio_filepath,sentence,client_id"]
    for number in range(10):
        soundfile.write(folder / f"{number}.wav", np.zeros(11025), 11025)
        rows.append(f'{number}.wav,"hello, number {number}",me')
    (folder / "all.csv").write_text("\n".join(rows) + "\n")
    return folder / "all.csv"


def parts_of(recipe):
    found = {}
    for part in ("train", "valid", "test"):
        with open(recipe / "data" / f"{part}.tsv", newline="", encoding="utf-8") as file:
            found[part] = list(csv.DictReader(file, delimiter="\t"))
    return found


def test_a_recipe_from_a_csv_with_aliases_passes_the_check(data, tmp_path):
    create_recipe(tmp_path / "r", system="asr/recognition", data=str(data))
    parts = parts_of(tmp_path / "r")
    assert sum(map(len, parts.values())) == 10
    assert all(parts.values())
    row = parts["train"][0]
    assert set(row) == {"id", "path", "text", "speaker"}
    assert row["speaker"] == "me"
    assert row["text"].startswith("hello, number ")
    training = yaml.safe_load((tmp_path / "r" / "conf" / "training.yaml").read_text())
    assert training["dataset"]["sample_rate"] == 11025
    assert training["tokenizer"] == {"name": "asr/char"}
    assert check_folder(tmp_path / "r").findings == ()


def test_few_validation_utterances_select_nothing(data, tmp_path):
    create_recipe(tmp_path / "r", system="asr/recognition", data=str(data))
    chosen = yaml.safe_load((tmp_path / "r" / "conf" / "inference.yaml").read_text())
    assert chosen["checkpoint"] == "last"
    assert checkpoint(FEW_TO_SELECT) == checkpoint(None) == "average"


def test_without_data_the_recipe_passes_the_check_too(tmp_path):
    create_recipe(tmp_path / "r", system="asr/recognition")
    assert check_folder(tmp_path / "r").findings == ()
    assert "data/train.tsv" in (tmp_path / "r" / "conf" / "training.yaml").read_text()


def test_the_split_depends_on_the_id_alone():
    small, large = split(utterances(500)), split(utterances(1000))
    place = {u.id: part for part, rows in large.items() for u in rows}
    assert all(place[u.id] == part for part, rows in small.items() for u in rows)
    assert 0.05 < len(large["valid"]) / 1000 < 0.15
    assert 0.05 < len(large["test"]) / 1000 < 0.15


@pytest.mark.parametrize("count", range(3, 30))
def test_no_part_is_empty(count):
    parts = split(utterances(count))
    assert all(parts.values())
    assert Counter(u.id for rows in parts.values() for u in rows) == Counter(u.id for u in utterances(count))


def test_ten_utterances_are_split_eight_one_one():
    assert {part: len(rows) for part, rows in split(utterances(10)).items()} == {
        "train": 8,
        "valid": 1,
        "test": 1,
    }


@pytest.mark.parametrize("speakers", [10, 30, 80])
def test_enough_speakers_are_kept_apart(speakers):
    rows = [replace(row, speaker=f"s{n % speakers}") for n, row in enumerate(utterances(400))]
    parts = {name: {row.speaker for row in part} for name, part in split(rows).items()}
    assert all(parts.values())
    assert sum(map(len, parts.values())) == speakers


def test_few_or_uneven_or_unknown_speakers_are_in_all_parts():
    few = [replace(row, speaker=f"s{n % 9}") for n, row in enumerate(utterances(400))]
    uneven = [replace(row, speaker=f"s{max(0, n - 300)}") for n, row in enumerate(utterances(400))]
    unknown = [replace(row, speaker=f"s{n % 20 or ''}") for n, row in enumerate(utterances(400))]
    unknown[7] = replace(unknown[7], speaker="")
    for rows in (few, uneven, unknown):
        assert unit_of_split(rows) == "utterance"
        assert split(rows) == {
            name: sorted((rows[int(row.id[1:])] for row in part), key=lambda row: row.id)
            for name, part in split(utterances(400)).items()
        }


def test_speakers_of_both_parts_are_told(tmp_path):
    rows = ["path\ttext\tspeaker"]
    for number in range(12):
        soundfile.write(tmp_path / f"{number}.wav", np.zeros(8000), 8000)
        rows.append(f"{number}.wav\thello\t{'ab'[number % 2]}")
    (tmp_path / "m.tsv").write_text("\n".join(rows) + "\n")
    notes = create_recipe(tmp_path / "r", system="asr/recognition", data=str(tmp_path / "m.tsv"))
    assert notes[0].endswith("(split by utterance)")
    assert "speakers of the test data are trained on" in notes[1]


def test_two_utterances_are_too_few():
    with pytest.raises(UserError, match="too few"):
        split(utterances(2))


def test_a_split_column_is_kept():
    given = utterances(4, split="train") + [
        Utterance(id="v", path="", text="t", seconds=1.0, split="dev"),
        Utterance(id="t", path="", text="t", seconds=1.0, split="Test"),
    ]
    parts = split(given)
    assert [u.id for u in parts["valid"]] == ["v"]
    assert [u.id for u in parts["test"]] == ["t"]


def test_test_data_of_its_own(data, tmp_path):
    values = prepare(tmp_path, str(data), {"test": str(data)})
    parts = parts_of(tmp_path)
    assert len(parts["test"]) == 10
    assert len(parts["train"]) + len(parts["valid"]) == 10
    assert "20 utterances" in values["about"]
    assert "warning: 9 of 10 test utterances are trained on, too" in values["notes"]


def test_a_split_column_of_other_words_is_told(data, tmp_path):
    lines = data.read_text().splitlines()
    data.write_text(
        "\n".join([f"{lines[0]},split", *(f"{line},fold{n}" for n, line in enumerate(lines[1:]))])
    )
    values = prepare(tmp_path, str(data), {"test": None})
    assert "not train, valid or test: fold0, fold1" in values["notes"]
    assert [len(rows) for rows in parts_of(tmp_path).values()] == [8, 1, 1]


def test_missing_texts_are_all_named(data, tmp_path):
    lines = data.read_text().splitlines()
    lines[2], lines[4] = "1.wav,,me", "3.wav,,me"
    data.write_text("\n".join(lines) + "\n")
    with pytest.raises(CheckFailed, match="2 problems found") as error:
        prepare(tmp_path, str(data), {"test": None})
    assert "all.csv:3" in str(error.value)
    assert "all.csv:5" in str(error.value)


def test_mixed_rates_and_channels_are_stated(data, tmp_path):
    soundfile.write(data.parent / "0.wav", np.zeros((22050, 2)), 22050)
    values = prepare(tmp_path, str(data), {"test": None})
    assert values["sample_rate"] == 11025
    assert values["reading"] == "\n    channels: mean\n    resample: soxr"
    assert "11025 Hz and 22050 Hz, resampled to 11025 Hz, channels averaged" in values["notes"]


def test_segments_keep_their_times_and_channel(tmp_path):
    """The recipe's lists cut the same audio out as the user's data do."""
    kaldi = tmp_path / "kaldi"
    kaldi.mkdir()
    left = np.linspace(0.1, 0.9, 24000)
    soundfile.write(kaldi / "long.wav", np.stack([left, -left], 1), 8000)
    (kaldi / "wav.scp").write_text("call sph2pipe -f wav -p -c 2 long.wav |\n")
    segments = "".join(f"u{n} call {n / 4} {n / 4 + 0.2}\n" for n in range(5))
    (kaldi / "segments").write_text(segments)
    (kaldi / "text").write_text("".join(f"u{n} word {n}\n" for n in range(5)))
    create_recipe(tmp_path / "r", system="asr/recognition", data=str(kaldi))
    items = {}
    for part in ("train", "valid", "test"):
        path = f"data/{part}.tsv"
        listed = Manifest(ManifestConfig(path=path), sample_rate=8000, recipe_dir=tmp_path / "r")
        items |= {item["id"]: item for item in listed}
    assert sorted(items) == [f"u{n}" for n in range(5)]
    for number in range(5):
        wanted = -left[2000 * number : 2000 * number + 1600]
        assert np.allclose(items[f"u{number}"]["speech"], wanted, atol=1e-4)


def test_segments_beyond_their_file_are_all_named(data, tmp_path):
    rows = [f"0.wav,{start},{start + 0.5},word" for start in (0, 0.5, 2, 3)]
    listing = data.parent / "cut.csv"
    listing.write_text("\n".join(["path,start,end,text", *rows]) + "\n")
    with pytest.raises(CheckFailed, match="2 problems found") as error:
        prepare(tmp_path, str(listing), {"test": None})
    assert "cut.csv:4" in str(error.value)
    assert "lasts 1.000 s" in str(error.value)


def test_white_space_in_a_field_does_not_break_the_list(data, tmp_path):
    rows = [{"audio": f"{n}.wav", "text": "a\tb\nc", "speaker": "x\ty"} for n in range(4)]
    listing = data.parent / "cells.jsonl"
    listing.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(tmp_path, str(listing), {"test": None})
    lines = [row for rows in parts_of(tmp_path).values() for row in rows]
    assert {(row["text"], row["speaker"]) for row in lines} == {("a b c", "x y")}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "--data .*none.csv.* does not exist"),
        ("semicolons.csv", "file;label\n0.wav;a\n", "no column names the audio files; headers: file;label"),
        (
            "lasting.csv",
            "datei,duration,text\n0.wav,1.0,a\n",
            "no column names the audio files; headers: datei",
        ),
        ("silent.csv", "path,words\n0.wav,a\n", "no utterance has a text"),
        ("list.txt", "0.wav a\n", "cannot tell the format"),
    ],
)
def test_unusable_data_are_explained(data, tmp_path, name, content, message):
    listing = data.parent / name
    if content is not None:
        listing.write_text(content)
    with pytest.raises(UserError, match=message) as error:
        prepare(tmp_path, str(listing), {"test": None})
    assert error.value.hint


@pytest.mark.parametrize(
    ("characters", "name"),
    [(100, "asr/char"), (199_999, "asr/char"), (200_000, "300"), (5_000_000, "2000"), (50_000_000, "5000")],
)
def test_the_tokenizer_goes_by_the_amount_of_text(characters, name):
    assert name in tokenizer_for(characters)


@pytest.mark.parametrize(
    ("hours", "model", "search"),
    [
        (0.01, "asr/ctc", "asr/ctc_greedy"),
        (5, "asr/ctc", "asr/ctc_greedy"),
        (500, "asr/ctc_attention", "asr/joint_beam"),
    ],
)
def test_the_model_goes_by_the_amount_of_speech(hours, model, search):
    count = max(int(hours * 360), 1)
    values = choose(["words"] * count, [10.0] * count, 16000, known=True)
    assert yaml.safe_load(values["model"])["name"] == model
    assert yaml.safe_load(values["search"])["name"] == search
    assert 20 <= values["max_epochs"] <= 80
