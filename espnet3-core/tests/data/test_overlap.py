"""The same audio in two corpora, on real files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.data.config import ManifestConfig, MixtureConfig
from espnet3_core.data.manifest import Manifest
from espnet3_core.data.mixture import Mixture
from espnet3_core.data.overlap import overlap


def write(path: Path, seed: int, samples: int = 8000) -> Path:
    """A file of noise; all of one length are equally large."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).standard_normal(samples) * 0.1, 8000)
    return path


def manifest(folder: Path, *rows: str, columns: str = "id\tpath") -> Manifest:
    """A corpus of these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "list.tsv").write_text("\n".join([columns, *rows]) + "\n")
    return Manifest(ManifestConfig(path=str(folder / "list.tsv")), sample_rate=8000, recipe_dir=folder)


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[Manifest, Manifest]:
    """Two corpora: ``t2`` is a copy of ``a1`` under another name, ``a0`` an id that both have."""
    for seed in range(3):
        write(tmp_path / f"train/{seed}.wav", seed)
        write(tmp_path / f"test/{seed}.wav", 10 + seed)
    shutil.copy(tmp_path / "train/1.wav", tmp_path / "test/2.wav")
    train = manifest(tmp_path / "train", *(f"a{seed}\t{seed}.wav" for seed in range(3)))
    test = manifest(tmp_path / "test", "a0\t0.wav", "t1\t1.wav", "t2\t2.wav")
    return train, test


def test_equal_ids_and_equal_audio(corpora: tuple[Manifest, Manifest]) -> None:
    train, test = corpora
    found = overlap(test, train)
    assert found.ids == ("a0",)
    assert found.audio == {"t2": "a1"}
    assert len(found) == 2


def test_only_files_that_may_be_equal_are_read(
    corpora: tuple[Manifest, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    from espnet3_core.data import overlap as module

    read: list[str] = []
    whole = module.sha256_file
    monkeypatch.setattr(module, "sha256_file", lambda path: read.append(Path(path).name) or whole(path))
    overlap(corpora[1], corpora[0])
    assert sorted(read) == ["1.wav", "2.wav"]


def test_parts_of_one_recording_are_different_utterances(tmp_path: Path) -> None:
    write(tmp_path / "meeting.wav", 0)
    columns = "id\tpath\tstart\tend"
    train = manifest(tmp_path / "a", "x\t../meeting.wav\t0\t0.4", columns=columns)
    test = manifest(
        tmp_path / "b", "y\t../meeting.wav\t0.4\t0.6", "z\t../meeting.wav\t0.3\t0.7", columns=columns
    )
    assert overlap(test, train).audio == {"z": "x"}


def test_mixtures_are_looked_into(corpora: tuple[Manifest, Manifest], tmp_path: Path) -> None:
    train, test = corpora
    node = {"one": {"name": "core/manifest", "path": str(tmp_path / "train/list.tsv")}}
    from espnet3_core.component import Component, Slot

    parts = {name: Component.from_node(value, Slot("dataset")) for name, value in node.items()}
    mixed = Mixture(MixtureConfig(datasets=parts, prefix_ids=True), sample_rate=8000, recipe_dir=tmp_path)
    found = overlap(test, mixed)
    assert found.ids == ()
    assert found.audio == {"t2": "one/a1"}  # the id that the mixture gives it


def test_items_without_ids_and_corpora_without_audio(tmp_path: Path) -> None:
    numbered = [{"text": "x"}, {"text": "y"}]
    assert len(overlap(numbered, list(numbered))) == 0
    (tmp_path / "t.tsv").write_text("id\ttext\nu\thello\n")
    texts = Manifest(ManifestConfig(path="t.tsv"), sample_rate=None, recipe_dir=tmp_path)
    assert overlap(texts, texts).ids == ("u",)
    assert overlap(texts, texts).audio == {}
