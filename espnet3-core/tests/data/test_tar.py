from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig
from espnet3_core.data import listing
from espnet3_core.data.config import ManifestConfig, MixtureConfig, TarConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import Loader, build_loader
from espnet3_core.data.manifest import Manifest
from espnet3_core.data.tar import TarShards, shards_of
from espnet3_core.errors import CheckFailed, UserError

RATE = 8000
COUNT = 30


def shard(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A shard written by the system's tar, in the order of ``files``."""
    inside = folder / f"{name}.d"
    for member, content in files.items():
        (inside / member).parent.mkdir(parents=True, exist_ok=True)
        (inside / member).write_bytes(content)
    subprocess.run(["tar", "-cf", folder / name, "-C", inside, *files], check=True)
    return folder / name


def audio(folder: Path, index: int, kind: str = "flac") -> bytes:
    samples = np.random.default_rng(index).uniform(-0.5, 0.5, 400 + 37 * index).astype(np.float32)
    path = folder / f"tone.{kind}"
    soundfile.write(path, samples, RATE)
    return path.read_bytes()


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Three shards of ten utterances, two kinds of audio, texts beside them or in JSON."""
    for number in range(3):
        files = {}
        for index in range(10 * number, 10 * number + 10):
            kind = "wav" if index % 2 else "flac"
            files[f"spk{index % 3}/utt{index:02d}.{kind}"] = audio(tmp_path, index, kind)
            facts = {"speaker": f"spk{index % 3}", "offset": 3.5, "fold": index % 2}
            if number == 2:
                facts["sentence"] = f"text {index}"
            else:
                files[f"spk{index % 3}/utt{index:02d}.txt"] = f"text {index}\n".encode()
            files[f"spk{index % 3}/utt{index:02d}.json"] = json.dumps(facts).encode()
        shard(tmp_path, f"train-{number:03d}.tar", files)
    return "train-{000..002}.tar"


def load(path: str, base: Path, **options: object) -> TarShards:
    config = TarConfig(path=path, **options)  # type: ignore[arg-type]
    return TarShards(config, sample_rate=RATE, recipe_dir=base)


def test_items_equal_those_of_the_unpacked_files(shards: str, tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="has no text, and others have"):
        load("*.tar", tmp_path)  # `text` in some, `sentence` in others
    data = load("train-{000,001}.tar", tmp_path)
    folders = [tmp_path / f"train-00{number}.tar.d" for number in range(2)]
    rows = [(folder, path) for folder in folders for path in sorted(folder.rglob("*.flac"))]
    for folder, path in rows:
        index = data.ids().index(str(path.relative_to(folder).with_suffix("")))
        item = data[index]
        assert np.array_equal(item.pop("speech"), soundfile.read(path, dtype="float32")[0])
        number = int(path.stem[3:])
        assert item == {
            "id": f"spk{number % 3}/utt{number:02d}",
            "text": f"text {number}",
            "speaker": f"spk{number % 3}",
            "offset_": "3.5",
            "fold": str(number % 2),
        }
        assert data.source(index) == f"{folder.with_suffix('')}/{path.relative_to(folder)}"
    assert data.lengths().tolist() == [(400 + 37 * index) / RATE for index in range(20)]
    assert load("train-002.tar", tmp_path).describe(0)["text"] == "text 20"
    assert len(load("train-000.tar", tmp_path, where={"fold": 1})) == 5


def loader(data: TarShards, rank: int = 0, world: int = 1, workers: int = 0) -> Loader:
    return build_loader(
        PreparedDataset(data, sample_rate=RATE, training=True),
        BatchConfig(seconds=0.5, workers=workers),
        seed=3,
        rank=rank,
        world_size=world,
        multiprocessing_context="spawn",
    )


def test_two_ranks_with_workers_take_each_id_once_and_resume_anywhere(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CACHED_FROM", 1)
    load("train-{000,001}.tar", tmp_path)
    data = load("train-{000,001}.tar", tmp_path)
    assert data._listing.cache is not None  # workers map it
    seen = []
    for rank in range(2):
        alone, shared = loader(data, rank, 2), loader(data, rank, 2, workers=rank)
        for one in (alone, shared):
            one.set_epoch(4)
        whole = list(alone)
        ids = [batch["ids"] for batch in whole]
        again = list(shared)
        assert [batch["ids"] for batch in again] == ids
        assert all((a["speech"] == b["speech"]).all() for a, b in zip(whole, again, strict=True))
        shared.set_epoch(4, start_batch=len(ids) // 2)
        assert [batch["ids"] for batch in shared] == ids[len(ids) // 2 :]
        seen += [name for batch in ids for name in batch]
        alone.set_epoch(5)
        assert [batch["ids"] for batch in alone] != ids
    assert sorted(seen) == sorted(data.ids())


def test_shards_mix_with_manifests(shards: str, tmp_path: Path, tone: Callable[..., Path]) -> None:
    from espnet3_core.data.mixture import Mixture

    tone("a.wav", rate=RATE)
    (tmp_path / "m.tsv").write_text("path\ttext\na.wav\thello\n")
    parts = {
        "tar": Component(name="core/tar", options={"path": "train-000.tar"}),
        "list": Component(name="core/manifest", options={"path": "m.tsv"}),
    }
    data = Mixture(MixtureConfig(datasets=parts), sample_rate=RATE, recipe_dir=tmp_path)
    assert [len(data), data.describe(10)["text"]] == [11, "hello"]


def test_every_bad_key_is_named_with_its_shard(tmp_path: Path) -> None:
    good = audio(tmp_path, 1)
    one = shard(tmp_path, "one.tar", {"a.flac": good, "a.txt": b"x", "b.txt": b"alone", "c.flac": good})
    two = shard(
        tmp_path,
        "two.tar",
        {
            "a.flac": good,
            "a.txt": b"x",
            "d.flac": b"noise",
            "d.txt": b"x",
            "e.json": b"{",
            "e.flac": good,
            "e.wav": audio(tmp_path, 1, "wav"),
            "f.flac": b"",
            "f.txt": b"\xff",
        },
    )
    three = tmp_path / "three.tar"
    three.write_bytes(one.read_bytes()[:1500])
    with pytest.raises(CheckFailed) as caught:
        load("{one,two,three}.tar", tmp_path)
    text = str(caught.value)
    for words in (
        f"{one}: key 'b' has no audio",
        f"{one}: key 'c' has no text, and others have",
        f"{two}: key 'a' is in {one}, too",
        f"{two}/d.flac: utterance 'd': d.flac cannot be decoded",
        f"{two}/e.json: not valid JSON",
        f"{two}/e.wav: e.flac is audio of key 'e', too",
        f"{two}/f.flac: utterance 'f': f.flac is empty (0 bytes)",
        f"{two}/f.txt: not UTF-8 text",
        f"{three}: not a whole, plain tar file",
    ):
        assert words in text


def test_missing_and_compressed_shards_and_addresses_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed) as caught:
        load("train-{0..1}.tar", tmp_path)
    assert str(caught.value).count("there is no such shard") == 2
    shard(tmp_path, "a.tar", {"a.flac": audio(tmp_path, 1)})
    subprocess.run(["gzip", tmp_path / "a.tar"], check=True)
    with pytest.raises(CheckFailed, match="not a whole, plain tar"):
        load("a.tar.gz", tmp_path)
    with pytest.raises(UserError, match="copy the shards to a disk"):
        load("https://example.org/a.tar", tmp_path)


def test_wrong_rate_channels_and_a_shard_that_shrank_are_named(
    tmp_path: Path, tone: Callable[..., Path]
) -> None:
    content = tone("stereo.wav", rate=16000, channels=2).read_bytes()
    path = shard(tmp_path, "a.tar", {"a.wav": content})
    data = load("a.tar", tmp_path)
    with pytest.raises(UserError, match=r"utterance 'a': .*a\.tar/a\.wav has 2 channels"):
        data[0]
    with pytest.raises(UserError, match="16000 Hz"):
        load("a.tar", tmp_path, channels="first")[0]
    assert len(load("a.tar", tmp_path, channels="mean", resample="soxr")[0]["speech"]) == RATE
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"a\.tar has become shorter"):
        data[0]


def test_fingerprint_follows_content_not_place(shards: str, tmp_path: Path) -> None:
    one = load("train-000.tar", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/x.tar").write_bytes((tmp_path / "train-000.tar").read_bytes())
    assert load("elsewhere/x.tar", tmp_path).fingerprint() == one.fingerprint()
    assert load("train-001.tar", tmp_path).fingerprint() != one.fingerprint()
    manifest = Manifest(ManifestConfig(path="m.tsv"), sample_rate=RATE, recipe_dir=_manifest(tmp_path))
    assert manifest.fingerprint() != one.fingerprint()


def _manifest(folder: Path) -> Path:
    (folder / "m.tsv").write_text("path\na.wav\n")
    return folder


def test_patterns() -> None:
    assert shards_of("a-{00..02}.tar") == ["a-00.tar", "a-01.tar", "a-02.tar"]
    assert shards_of("{x,y}-{9..10}.tar") == ["x-9.tar", "x-10.tar", "y-9.tar", "y-10.tar"]
    assert shards_of("plain.tar") == ["plain.tar"]


def test_broken_keys_are_left_out_when_reading_is_lenient(tmp_path: Path) -> None:
    good, cut = audio(tmp_path, 1), audio(tmp_path, 2, "wav")[:-200]
    files = {"a.flac": good, "a.txt": b"a", "b.wav": cut, "b.txt": b"b", "c.txt": b"c", "d.flac": good}
    shard(tmp_path, "m.tar", {**files, "e.flac": good, "e.txt": b"e"})
    with pytest.raises(CheckFailed):
        load("m.tar", tmp_path)
    data = TarShards(TarConfig(path="m.tar"), sample_rate=RATE, recipe_dir=tmp_path, lenient=True)
    assert data.ids() == ["a", "e"]
    assert [item["text"] for item in data] == ["a", "e"]
    told = [f"{finding.place}: {finding.message}" for finding in data.findings]
    assert len(told) == 3
    for name, what in zip("bcd", ("truncated", "'c' has no audio", "'d' has no text"), strict=True):
        assert any(what in line for line in told), (name, told)
