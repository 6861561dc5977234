from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from espnet3_core.data.checking import scan as scanning
from espnet3_core.data.checking.audio import Facts, Job, clipped_share, examine
from espnet3_core.data.checking.scan import scan

RATE = 8000


def write(path: Path, samples: Any, rate: int = RATE, **options: Any) -> Job:
    soundfile.write(path, samples, rate, **options)
    return Job(str(path))


@pytest.fixture
def noise() -> Any:
    return np.random.default_rng(0).uniform(-0.4, 0.4, RATE).astype(np.float32)


def test_a_recording_is_the_same_in_every_lossless_format_and_cut(tmp_path: Path, noise: Any) -> None:
    stored = (noise * 32767).astype(np.int16)
    wav = examine(write(tmp_path / "a.wav", stored))
    flac = examine(write(tmp_path / "a.flac", stored))
    cut = write(tmp_path / "long.wav", np.concatenate([stored[::-1], stored]))
    assert wav == flac == examine(Job(cut.path, 1.0, 2.0))
    assert wav.digest != examine(Job(cut.path, 0.0, 1.0)).digest
    assert (wav.rate, wav.channels, wav.frames, wav.problem) == (RATE, 1, RATE, "")


def test_clipping_is_told_from_loudness(noise: Any) -> None:
    tone = np.sin(np.arange(RATE) * 2 * np.pi * 200 / RATE).astype(np.float32)
    assert clipped_share(tone * 0.99) == 0
    assert clipped_share(noise) == 0
    cut = np.clip(tone * 2, -0.9, 0.9)
    top = [abs(value) >= 0.9 * 0.9999 for value in cut]
    rows = [
        any(all(top[max(k, 0) : k + 3]) for k in (i - 2, i - 1, i) if 0 <= k <= RATE - 3) for i in range(RATE)
    ]
    brute = sum(rows) / RATE
    assert clipped_share(cut) == pytest.approx(brute) and brute > 0.5


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "missing"),
        (b"", "empty"),
        (b"not audio" * 50, "damaged"),
        ("cut", "truncated"),
        ("nan", "not finite"),
    ],
)
def test_problems_have_their_kind(tmp_path: Path, noise: Any, content: Any, problem: str) -> None:
    path = tmp_path / "x.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == "cut":
        write(path, noise)
        path.write_bytes(path.read_bytes()[:3000])
    elif content == "nan":
        noise[5] = np.nan
        write(path, noise, subtype="FLOAT")
    facts = examine(Job(str(path)))
    assert facts.problem == problem and str(path) in facts.reason


def test_an_interrupted_check_does_the_rest(
    tmp_path: Path, noise: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    jobs = [write(tmp_path / f"{index}.wav", noise * (index + 1) / 20) for index in range(20)]
    expected = {job: examine(job) for job in jobs}
    seen: list[Job] = []

    def counted(job: Job) -> Facts:
        if len(seen) == 10:
            raise KeyboardInterrupt
        seen.append(job)
        return expected[job]

    with monkeypatch.context() as patch:
        patch.setattr(scanning, "examine", counted)
        patch.setattr(scanning._examined, "__defaults__", (4,))
        with pytest.raises(KeyboardInterrupt):
            scan(jobs, workers=1, name="recipe")
        seen.clear()
        del jobs[9:]  # eight are known, one of those that are left is asked for
        assert scan(jobs, workers=1, name="recipe") == {job: expected[job] for job in jobs}
        assert seen == [jobs[8]]
        seen.clear()
        write(Path(jobs[3].path), noise * 0.3, rate=RATE * 2)  # another file by that name
        expected[jobs[3]] = examine(jobs[3])
        assert scan(jobs, workers=1, name="recipe")[jobs[3]].rate == RATE * 2
        assert seen == [jobs[3]]


def test_several_processes_find_the_same(tmp_path: Path, noise: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    jobs = [write(tmp_path / f"{index}.wav", noise * (index + 1) / 80) for index in range(70)]
    (tmp_path / "5.wav").write_bytes(b"")
    assert scan(jobs, workers=2, name="recipe") == {job: examine(job) for job in jobs}
