from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from espnet3_core.data import listing
from espnet3_core.data.columns import ColumnBuilder, TextColumn
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed, UserError
from hypothesis import given
from hypothesis import strategies as st


@given(st.lists(st.text()), st.integers(0, 3), st.integers(1, 5))
def test_a_column_gives_back_what_was_packed(texts: list[str], empty: int, part: int) -> None:
    builder = ColumnBuilder(empty)
    for first in range(0, len(texts), part):
        builder.extend(texts[first : first + part])
    column = builder.build()
    expected = [""] * empty + texts
    assert list(column) == [column[index] for index in range(len(column))] == expected
    assert column.sizes().tolist() == [len(text.encode()) for text in expected]
    assert list(pickle.loads(pickle.dumps(column))) == expected


def test_many_texts_are_iterated_in_parts() -> None:
    texts = [f"é{index}" * (index % 3) for index in range(10_000)]
    column = TextColumn.of(texts)
    assert list(column) == texts
    assert list(column.at(np.array([9_999, 0, 5]))) == [texts[9_999], texts[0], texts[5]]


ROWS = [
    {"id": f"utt{index:05d}", "path": f"a/{index}.wav", "text": f"word{index} ünïcode", "duration": 1 + index}
    for index in range(300)
]


@pytest.fixture(params=["tsv", "csv", "jsonl", "kaldi"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same 300 rows in each format, read in small parts and cached whatever their size."""
    from espnet3_core.data import tables

    monkeypatch.setattr(listing, "CACHED_FROM", 1)
    monkeypatch.setattr(tables, "_BLOCK", 1000)
    monkeypatch.setattr(tables, "_ROWS", 7)
    if request.param == "kaldi":
        for name, key in (("wav.scp", "path"), ("text", "text"), ("utt2dur", "duration")):
            (tmp_path / name).write_text("".join(f"{row['id']} {row[key]}\n" for row in ROWS))
        return tmp_path
    path = tmp_path / f"m.{request.param}"
    if request.param == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    else:
        mark = "\t" if request.param == "tsv" else ","
        lines = [mark.join(ROWS[0]), *(mark.join(map(str, row.values())) for row in ROWS)]
        path.write_text("\n".join(lines) + "\n")
    return path


def load(path: Path, **options: object) -> Manifest:
    config = ManifestConfig(path=str(path), **options)  # type: ignore[arg-type]
    return Manifest(config, sample_rate=16000, recipe_dir=path.parent)


def caches() -> list[Path]:
    return sorted((Path(os.environ["ESPNET3_CACHE"]) / "listings").glob("*"))


def facts(data: Manifest) -> object:
    return (
        data.ids(),
        data.lengths().tolist(),
        [data.describe(index) for index in range(len(data))],
        [data.source(index) for index in range(len(data))],
        [data.audio_path(index) for index in range(len(data))],
        data.fingerprint(),
    )


def test_the_cache_says_the_same_as_the_listing(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load(corpus)
    assert first.ids() == [row["id"] for row in ROWS]
    assert [first.describe(7)["text"], first.lengths()[7]] == [ROWS[7]["text"], ROWS[7]["duration"]]
    (cache,) = caches()
    form = corpus.suffix[1:] or "kaldi"
    with monkeypatch.context() as patch:
        patch.setitem(listing.READERS, form, lambda path: pytest.fail("read again"))
        second = load(corpus)
    monkeypatch.setattr(listing, "CACHED_FROM", 1 << 40)
    assert facts(first) == facts(second) == facts(load(corpus))
    assert second._listing.cache is not None and load(corpus)._listing.cache is None
    assert load(corpus, where={"id": "utt00003"}).source(0) == first.source(3)
    assert caches() == [cache]


def test_a_changed_listing_is_read_again_and_its_old_cache_goes(tmp_path: Path, corpus: Path) -> None:
    file = corpus if corpus.is_file() else corpus / "text"
    load(corpus)
    (old,) = caches()
    text = file.read_text().replace("word7 ", "mend7 ")  # as long as before
    times = file.stat()
    file.write_text(text)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert load(corpus).describe(7)["text"] == "mend7 ünïcode"
    (new,) = caches()
    assert new != old


def test_a_damaged_cache_counts_as_none(corpus: Path) -> None:
    whole = facts(load(corpus))
    (cache,) = caches()
    data = cache.read_bytes()
    for damaged in (data[:-8], b"", b"{}\n", data.replace(b'"digest"', b'"digits"', 1)):
        cache.write_bytes(damaged)
        assert facts(load(corpus)) == whole


def test_broken_listings_are_named_each_time_and_never_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CACHED_FROM", 1)
    path = tmp_path / "m.tsv"
    path.write_text("id\tpath\tduration\na\tx.wav\t1\na\ty.wav\t-2\n")
    for _ in range(2):
        with pytest.raises(CheckFailed, match=r"m\.tsv:3: duplicate id 'a': line 2"):
            load(path)
    assert caches() == []


def test_a_cache_that_cannot_be_written_is_done_without(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "file"))
    assert load(corpus).ids()[:2] == ["utt00000", "utt00001"]


ELSEWHERE = """
import json, pickle, sys
data = pickle.load(open(sys.argv[1], "rb"))
print(json.dumps([data.ids(), data.lengths().tolist(), data.describe(7), data.source(7), data.fingerprint()]))
"""


def test_workers_get_the_place_of_the_cache_not_its_content(tmp_path: Path, corpus: Path) -> None:
    data = load(corpus)
    assert len(pickle.dumps(data)) < 2000 + 8 * len(data)  # the rows that `where` selects
    state = pickle.dumps(data)
    (tmp_path / "state").write_bytes(state)
    command = [sys.executable, "-c", ELSEWHERE, tmp_path / "state"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = [data.ids(), data.lengths().tolist(), data.describe(7), data.source(7), data.fingerprint()]
    assert json.loads(done.stdout) == expected
    caches()[0].unlink()
    with pytest.raises(UserError, match="changed, while this run still used it"):
        pickle.loads(state)


BAR = r"""
import re, sys, time
from pathlib import Path
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import build_loader
from espnet3_core.data.manifest import Manifest

start = time.process_time()
path = Path(sys.argv[1])
data = Manifest(ManifestConfig(path=str(path)), sample_rate=16000, recipe_dir=path.parent)
loader = build_loader(PreparedDataset(data, training=True), BatchConfig(seconds=240), max_seconds=30.0)
loader.set_epoch(3, len(loader) // 2)
first = next(iter(loader.batch_sampler))
assert data.describe(first[0].item)["id"] == f"utt{first[0].item:07d}"
# Not ru_maxrss, which begins with the peak of the process that started this one.
peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(time.process_time() - start, int(peak[1]) / 1e3)
"""


def _plan_and_resume(path: Path) -> tuple[float, float]:
    """Seconds of CPU time to plan an epoch and to resume in another, and the process's peak in MB."""
    done = subprocess.run([sys.executable, "-c", BAR, path], capture_output=True, text=True, check=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak)


def _large(path: Path, count: int) -> Path:
    lengths = np.clip(np.random.default_rng(0).gamma(4, 3, count), 1, 35)
    words = "the quick brown fox jumps over the lazy dog and runs away from it " * 2
    with path.open("w") as stream:
        if path.suffix == ".tsv":
            stream.write("id\tpath\tduration\ttext\n")
        for index, seconds in enumerate(lengths.tolist()):
            text, audio = words[: int(seconds * 4)], f"audio/{index % 999:03d}/{index:07d}.flac"
            if path.suffix == ".tsv":
                stream.write(f"utt{index:07d}\t{audio}\t{seconds:.3f}\t{text}\n")
            else:
                row = {"id": f"utt{index:07d}", "path": audio, "duration": round(seconds, 3), "text": text}
                stream.write(json.dumps(row) + "\n")
    return path


def test_a_hundred_thousand_lines_take_seconds_and_little_memory(tmp_path: Path) -> None:
    path = _large(tmp_path / "m.tsv", 100_000)
    cold, warm = _plan_and_resume(path), _plan_and_resume(path)
    assert len(caches()) == 1
    assert cold[0] < 4 and warm[0] < 2.5
    assert max(cold[1], warm[1]) < 500


@pytest.mark.slow
@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_a_million_lines_are_planned_and_resumed_within_ten_seconds_and_a_gigabyte(
    tmp_path: Path, form: str
) -> None:
    path = _large(tmp_path / f"m.{form}", 1_000_000)
    cold, warm = _plan_and_resume(path), _plan_and_resume(path)
    assert cold[0] < 15 and warm[0] < 10
    assert max(cold[1], warm[1]) < 1000
