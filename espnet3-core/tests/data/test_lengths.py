from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from espnet3_core.data import lengths as lengths_module
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.lengths import cache_directory
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed

Tone = Callable[..., Path]


def corpus(tmp_path: Path, count: int) -> Manifest:
    rows = "".join(f"{index}.wav\n" for index in range(count))
    (tmp_path / "m.tsv").write_text(f"path\n{rows}")
    return Manifest(ManifestConfig(path=str(tmp_path / "m.tsv")), sample_rate=16000, recipe_dir=tmp_path)


def test_headers_are_read_once_and_again_only_when_a_file_changes(
    tone: Tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index in range(5):
        tone(f"{index}.wav", 0.1 * (index + 1), rate=8000 if index % 2 else 16000)
    read: list[str] = []
    original = lengths_module.audio_info
    monkeypatch.setattr(
        lengths_module,
        "audio_info",
        lambda path, **rest: read.append(Path(path).name) or original(path, **rest),
    )
    expected = [0.1, 0.2, 0.3, 0.4, 0.5]
    np.testing.assert_allclose(corpus(tmp_path, 5).lengths(), expected)
    assert len(read) == 5
    read.clear()
    np.testing.assert_allclose(corpus(tmp_path, 5).lengths(), expected)
    assert read == []
    tone("3.wav", 0.7)
    expected[3] = 0.7
    np.testing.assert_allclose(corpus(tmp_path, 5).lengths(), expected)
    assert read == ["3.wav"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(f"{i}.wav" for i in range(5)), "m.tsv"]


def test_a_damaged_or_unwritable_cache_does_no_harm(
    tone: Tone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tone("0.wav", 0.5)
    assert corpus(tmp_path, 1).lengths().tolist() == [0.5]
    for file in (cache_directory() / "durations").iterdir():
        file.write_bytes(b"PK\x03\x04 broken")
    assert corpus(tmp_path, 1).lengths().tolist() == [0.5]
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "m.tsv/below"))
    assert corpus(tmp_path, 1).lengths().tolist() == [0.5]


def test_all_missing_and_damaged_files_are_listed_in_order(tone: Tone, tmp_path: Path) -> None:
    tone("1.wav")
    (tmp_path / "2.wav").write_bytes(b"")
    with pytest.raises(CheckFailed) as caught:
        corpus(tmp_path, 4).lengths()
    found = [(str(f.place).rpartition(":")[2], f.message.split(": ")[0]) for f in caught.value.findings]
    assert found == [("2", "utterance '0'"), ("4", "utterance '2'"), ("5", "utterance '3'")]


def test_listed_durations_are_taken_without_opening_files(tmp_path: Path) -> None:
    (tmp_path / "m.tsv").write_text("path\tduration\na.wav\t1.25\nb.wav\t0.5\n")
    data = Manifest(ManifestConfig(path="m.tsv"), sample_rate=16000, recipe_dir=tmp_path)
    assert data.lengths().tolist() == [1.25, 0.5]
