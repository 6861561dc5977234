from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import Manifest, listed_audio, open_manifest
from espnet3_core.errors import CheckFailed, UserError

Tone = Callable[..., Path]


def load(path: Path | str, rate: int | None = 16000, base: Path = Path("/"), **options: Any) -> Manifest:
    return Manifest(ManifestConfig(path=str(path), **options), sample_rate=rate, recipe_dir=base)


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


@pytest.mark.parametrize("header", ["path", "audio", "wav", "audio_filepath", "file", "Path"])
@pytest.mark.parametrize("text", ["text", "sentence", "transcript", "transcription"])
def test_usual_headers_are_recognised(tone: Tone, tmp_path: Path, header: str, text: str) -> None:
    tone("wavs/a.wav", 0.5)
    path = write(tmp_path / "m.tsv", f"{header}\t{text}\tspk\tsplit", "wavs/a.wav\thello world\tann\ttrain")
    item = load(path)[0]
    assert item.pop("speech").shape == (8000,)
    assert item == {"id": "a", "text": "hello world", "speaker": "ann", "split": "train"}


def test_tsv_csv_and_jsonl_give_the_same_items(tone: Tone, tmp_path: Path) -> None:
    tone("a.wav", 1.0)
    rows = [("u1", "a.wav", 'he said "hi", twice', 0.1, 0.5), ("u2", "a.wav", "Grüße\u2028x", 0.5, 0.9)]
    tsv = write(tmp_path / "m.tsv", "id\tpath\ttext\tstart\tend", *("\t".join(map(str, row)) for row in rows))
    quoted = ['{},{},"{}",{},{}'.format(r[0], r[1], r[2].replace('"', '""'), r[3], r[4]) for r in rows]
    csv = write(tmp_path / "m.csv", "id,path,text,start,end", *quoted)
    keys = ("id", "path", "text", "start", "end")
    jsonl = write(tmp_path / "m.jsonl", *(json.dumps(dict(zip(keys, row, strict=True))) for row in rows))
    for path in (tsv, csv, jsonl):
        data = load(path)
        assert data.ids() == ["u1", "u2"]
        assert [data.describe(i)["text"] for i in range(2)] == [row[2] for row in rows]
        assert data[0]["speech"].shape == (6400,)
        np.testing.assert_allclose(data.lengths(), [0.4, 0.4])
    assert load(tsv).source(1) == f"{tsv}:3"
    assert load(jsonl).source(1) == f"{jsonl}:2"


def test_byte_order_mark_carriage_returns_and_blank_lines(tone: Tone, tmp_path: Path) -> None:
    tone("a.wav")
    path = tmp_path / "m.csv"
    path.write_bytes("\ufeffpath,text\r\n\r\na.wav,hello\r\n".encode())
    data = load(path)
    assert data[0]["text"] == "hello"
    assert data.source(0) == f"{path}:3"


def test_multi_line_csv_fields_keep_line_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", "path,text", 'a.wav,"one', 'two"', "b.wav,three")
    data = load(path)
    assert data.describe(0)["text"] == "one\ntwo"
    assert [data.source(0), data.source(1)] == [f"{path}:2", f"{path}:4"]


def test_nemo_offset_and_duration_are_a_segment(tone: Tone, tmp_path: Path) -> None:
    tone("a.wav", 2.0)
    row = {"audio_filepath": "a.wav", "offset": 0.5, "duration": 1.0, "text": "x"}
    data = load(write(tmp_path / "m.jsonl", json.dumps(row)))
    assert data.ids() == ["a-0000500-0001500"]
    assert data[0]["speech"].shape == (16000,)
    assert data.lengths().tolist() == [1.0]


def test_columns_map_unusual_headers_and_settle_ambiguous_ones(tmp_path: Path) -> None:
    path = write(tmp_path / "m.tsv", "clip\ttranscript\tsentence", "a.wav\traw\tclean")
    with pytest.raises(CheckFailed, match="'transcript' and 'sentence' could each be the text"):
        load(path)
    data = load(path, columns={"audio": "clip", "text": "sentence"})
    assert data.describe(0) == {"id": "a", "text": "clean", "transcript": "raw"}
    with pytest.raises(CheckFailed, match="'sentense'.*not among") as caught:
        load(path, columns={"audio": "clip", "text": "sentense"})
    assert "did you mean 'sentence'?" in str(caught.value)


def test_where_selects_rows_and_keeps_ids_and_lines(tmp_path: Path) -> None:
    rows = ["x/a.wav\ttrain\t1", "y/a.wav\ttest\t2", "z/b.wav\tdev\t2"]
    path = write(tmp_path / "m.tsv", "path\tsplit\tfold", *rows)
    assert load(path, where={"split": "test"}).ids() == ["y/a"]
    assert load(path, where={"split": "test"}).source(0) == f"{path}:3"
    assert load(path, where={"split": ["train", "dev"]}).ids() == ["x/a", "z/b"]
    assert load(path, where={"fold": 2, "split": "dev"}).ids() == ["z/b"]
    with pytest.raises(UserError, match="no utterance with split = valid") as caught:
        load(path, where={"split": "valid"})
    assert "dev, test, train" in str(caught.value)
    with pytest.raises(UserError, match="column 'splitt'"):
        load(path, where={"splitt": "test"})


def test_ids_are_stems_or_paths_and_never_hold_blanks(tmp_path: Path) -> None:
    assert load(write(tmp_path / "a.tsv", "path", "x/my file.wav", "b.wav")).ids() == ["my_file", "b"]
    assert load(write(tmp_path / "b.tsv", "path", "./x/a.wav", "y/a.flac")).ids() == ["x/a", "y/a"]


def test_all_bad_lines_are_listed_at_once(tmp_path: Path) -> None:
    path = write(
        tmp_path / "m.tsv",
        "id\tpath\ttext\tstart\tend",
        "u1\ta.wav\tfine\t0\t1",
        "u2\ta.wav\ttoo few",
        "u1\tb.wav\tsame id\t0\t1",
        "u4\t\tno file\t0\t1",
        "u5\tc.wav\tbad number\tzero\t1",
        "u 6\tc.wav\tblank\t0\t1",
        "u7\tc.wav\tbackwards\t2\t1",
    )
    with pytest.raises(CheckFailed) as caught:
        load(path)
    places = sorted(str(finding.place) for finding in caught.value.findings)
    assert places == [f"{path}:{line}" for line in range(3, 9)]
    text = str(caught.value)
    problems = [
        "3 fields, but the header has 5",
        "duplicate id 'u1': line 2",
        "no audio file",
        "'zero'",
        "blank",
    ]
    for part in (*problems, "positive length", "6 problems found"):
        assert part in text


def test_broken_json_and_bytes_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"path": "a.wav"}\n{"path": \n[1]\n{"path": "\xff.wav"}\n')
    with pytest.raises(CheckFailed) as caught:
        load(path)
    assert sorted(str(f.place) for f in caught.value.findings) == [f"{path}:{line}" for line in (2, 3, 4)]


@pytest.mark.parametrize("content", ["", "path\ttext\n", "\n\n"])
def test_an_empty_manifest_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "m.tsv").write_text(content)
    with pytest.raises(UserError, match=r"m\.tsv is empty"):
        load(tmp_path / "m.tsv")


def test_missing_manifest_unknown_suffix_and_missing_audio_column(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.tsv does not exist"):
        load("none.tsv", base=tmp_path)
    with pytest.raises(UserError, match="format"):
        load(write(tmp_path / "m.list", "path", "a.wav"))
    assert len(load(tmp_path / "m.list", format="tsv")) == 1
    with pytest.raises(UserError, match="no column names the audio files; headers: sound, text"):
        load(write(tmp_path / "m.tsv", "sound\ttext", "a.wav\tx"))


def test_text_alone_is_a_corpus_when_no_rate_is_wanted(tmp_path: Path) -> None:
    data = load(write(tmp_path / "m.tsv", "text", "one", "two"), rate=None)
    assert list(data) == [{"id": "000000", "text": "one"}, {"id": "000001", "text": "two"}]


def test_paths_start_from_the_manifest_or_the_root(tone: Tone, tmp_path: Path) -> None:
    tone("audio/a.wav", 0.25)
    write(tmp_path / "recipe/data/m.tsv", "path", "a.wav")
    data = load("data/m.tsv", base=tmp_path / "recipe", root="../audio")
    assert data[0]["speech"].shape == (4000,)
    assert [str(f) for f in load("data/m.tsv", base=tmp_path / "recipe").missing()] == [
        f"{tmp_path}/recipe/data/m.tsv:2: utterance 'a': {tmp_path}/recipe/data/a.wav does not exist"
    ]


def test_reading_errors_name_utterance_and_line(tone: Tone, tmp_path: Path) -> None:
    tone("a.wav", rate=8000)
    tone("b.wav", channels=2)
    path = write(tmp_path / "m.tsv", "id\tpath", "u1\ta.wav", "u2\tb.wav", "u3\tc.wav")
    data = load(path)
    for index, problem in enumerate(("8000 Hz", "2 channels", "does not exist")):
        with pytest.raises(UserError, match=rf"m\.tsv:{index + 2}: utterance 'u{index + 1}'.*{problem}"):
            data[index]
    lenient = load(path, resample="soxr", channels="mean")
    assert lenient[0]["speech"].shape == (16000,)
    assert lenient[1]["speech"].shape == (16000,)


def test_indices_behave_like_a_sequence(tmp_path: Path) -> None:
    data = load(write(tmp_path / "m.tsv", "text", "one", "two"), rate=None)
    assert data[-1]["text"] == "two"
    with pytest.raises(IndexError):
        data[2]


def test_folder_of_audio_with_texts(tone: Tone, tmp_path: Path) -> None:
    for name in ("b.flac", "x/a.wav", "x/.hidden.wav"):
        tone(f"corpus/{name}", 0.5)
    write(tmp_path / "corpus/b.txt", "text of b")
    with pytest.raises(CheckFailed, match=r"a\.wav: no text beside"):
        load(tmp_path / "corpus")
    write(tmp_path / "corpus/x/a.txt", "text  of", "a")
    data = load(tmp_path / "corpus")
    assert [data.describe(i) for i in range(2)] == [
        {"id": "b", "text": "text of b"},
        {"id": "a", "text": "text of a"},
    ]
    assert data.source(1) == str(tmp_path / "corpus/x/a.wav")
    np.testing.assert_allclose(data.lengths(), 0.5)


def test_recordings_in_formats_that_are_not_read_are_listed(tone: Tone, tmp_path: Path) -> None:
    tone("corpus/a.wav")
    for name in ("a.mp4", "b.m4a", "x/c.wma"):
        write(tmp_path / "corpus" / name, "not read")
    with pytest.raises(CheckFailed) as caught:
        load(tmp_path / "corpus")
    assert [finding.place for finding in caught.value.findings] == [
        str(tmp_path / "corpus" / name) for name in ("b.m4a", "x/c.wma")
    ]
    assert "ffmpeg -i c.wma c.flac" in str(caught.value)


def test_a_folder_with_a_listing_is_read_by_it(tone: Tone, tmp_path: Path) -> None:
    tone("corpus/a.wav")
    tone("corpus/b.wav")
    write(tmp_path / "corpus/metadata.csv", "file_name,transcription", "a.wav,hello")
    assert load(tmp_path / "corpus").describe(0) == {"id": "a", "text": "hello"}
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds no audio"):
        load(tmp_path / "empty")


def test_fingerprint_follows_content_and_settings_not_the_place(tmp_path: Path) -> None:
    one = load(write(tmp_path / "a/m.tsv", "path\tsplit", "a.wav\ttrain"))
    moved = load(write(tmp_path / "b/m.tsv", "path\tsplit", "a.wav\ttrain"))
    other = load(write(tmp_path / "c/m.tsv", "path\tsplit", "a.wav\ttest"))
    assert one.fingerprint() == moved.fingerprint()
    different = [
        other,
        load(tmp_path / "a/m.tsv", rate=8000),
        load(tmp_path / "a/m.tsv", where={"split": "train"}),
    ]
    assert len({one.fingerprint(), *(data.fingerprint() for data in different)}) == 4


def test_addresses_go_to_plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from espnet3_core import catalog

    class Fake:
        def resolve_source(self, uri: str) -> list[str]:
            return [uri]

    monkeypatch.setattr(catalog, "current_catalog", lambda: Fake())
    config = ManifestConfig(path="hf://acme/speech")
    assert open_manifest(config, sample_rate=16000, recipe_dir=tmp_path) == ["hf://acme/speech"]


def test_listed_audio_takes_files_folders_and_manifests(tone: Tone, tmp_path: Path) -> None:
    one, two = tone("n/a.wav"), tone("n/b.wav")
    manifest = write(tmp_path / "m.tsv", "path", "n/b.wav")
    assert listed_audio("n", tmp_path) == [str(one), str(two)]
    assert listed_audio("n/a.wav", tmp_path) == [str(one)]
    assert listed_audio(str(manifest), tmp_path) == [str(two)]
    with pytest.raises(UserError, match="does not exist"):
        listed_audio("none", tmp_path)


def test_a_repeated_id_in_a_folder_costs_one_recording(tone: Tone, tmp_path: Path) -> None:
    for name in ("a.wav", "a.flac", "b.wav"):
        tone(name, 0.5)
    config = ManifestConfig(path=str(tmp_path))
    with pytest.raises(CheckFailed, match=r"a\.wav: duplicate id 'a': .*a\.flac has it, too"):
        Manifest(config, sample_rate=16000, recipe_dir=tmp_path)
    data = Manifest(config, sample_rate=16000, recipe_dir=tmp_path, lenient=True)
    assert data.ids() == ["a", "b"]
    assert len(data.findings) == 1
