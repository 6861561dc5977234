from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.data.config import ManifestConfig
from espnet3_core.data.kaldi import read_pipe
from espnet3_core.data.manifest import Manifest
from espnet3_core.errors import CheckFailed

Tone = Callable[..., Path]


def directory(base: Path, **files: str) -> Path:
    folder = base / "data"
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("wav_scp", "wav.scp")).write_text(content)
    return folder


def load(folder: Path) -> Manifest:
    return Manifest(ManifestConfig(path=str(folder)), sample_rate=16000, recipe_dir=folder)


def test_wav_scp_with_text_and_speakers(tone: Tone, tmp_path: Path) -> None:
    path = tone("a.wav", 0.5)
    folder = directory(
        tmp_path,
        wav_scp=f"u2 {path}\nu1 flac -c -d -s ../b.flac |\n",
        text="u1 hello there\nu2\n",
        utt2spk="u1 ann\nu2 bob\n",
    )
    tone("b.flac", 1.0)
    data = load(folder)
    assert data.describe(0) == {"id": "u2", "text": "", "speaker": "bob"}
    assert data.describe(1) == {"id": "u1", "text": "hello there", "speaker": "ann"}
    assert data[1]["speech"].shape == (16000,)
    assert data.source(1) == f"{folder}/wav.scp:2"
    np.testing.assert_allclose(data.lengths(), [0.5, 1.0])


def test_segments_cut_recordings(tone: Tone, tmp_path: Path) -> None:
    path = tone("a.wav", 3.0, channels=2)
    folder = directory(
        tmp_path,
        wav_scp=f"rec sph2pipe -f wav -p -c 2 {path} |\n",
        segments="u1 rec 0.5 1.5\nu2 rec 2.0 -1\n",
        text="u1 a\nu2 b\n",
    )
    data = load(folder)
    stereo, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(data[0]["speech"], stereo[8000:24000, 1])
    np.testing.assert_array_equal(data[1]["speech"], stereo[32000:, 1])
    np.testing.assert_allclose(data.lengths(), [1.0, 1.0])
    assert data.source(1) == f"{folder}/segments:2"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("sph2pipe -f wav a.sph |", ("a.sph", "")),
        ("/usr/bin/sph2pipe -f wav -p -c 1 'my a.sph' |", ("my a.sph", "0")),
        ("flac -c -d --silent a.flac |", ("a.flac", "")),
        ("cat a.wav |", ("a.wav", "")),
        ("sox a.wav -r 16000 -t wav - |", None),
        ("sph2pipe -f wav a.sph | sox - -r 8000 - |", None),
        ("ffmpeg -i a.mp3 -f wav - |", None),
        ("cat a.wav b.wav |", None),
        ("cat $(find) |", None),
        ("sph2pipe -f 'a.sph |", None),
    ],
)
def test_only_commands_that_read_one_file_are_understood(
    command: str, expected: tuple[str, str] | None
) -> None:
    assert read_pipe(command) == expected


def test_problems_of_all_files_are_listed(tmp_path: Path) -> None:
    folder = directory(
        tmp_path,
        wav_scp="r1 a.wav\nr2 sox x.wav -t wav - |\nr1 b.wav\nr4 feats.ark:123\nr5\n",
    )
    with pytest.raises(CheckFailed) as caught:
        load(folder)
    assert sorted(str(f.place) for f in caught.value.findings) == [
        f"{folder}/wav.scp:{n}" for n in (2, 3, 4, 5)
    ]
    assert "commands in wav.scp are not run" in str(caught.value)


def test_utterances_must_match_between_files(tmp_path: Path) -> None:
    folder = directory(tmp_path, wav_scp="u1 a.wav\nu2 b.wav\n", text="u1 hello\n")
    with pytest.raises(CheckFailed, match=r"wav\.scp:2: 'u2' has no line in text"):
        load(folder)
    (folder / "text").write_text("u1 hello\nu2 x\nu3 y\n")
    with pytest.raises(CheckFailed, match=r"text:3: 'u3' has no audio in wav\.scp"):
        load(folder)
    (folder / "text").unlink()
    (folder / "segments").write_text("s1 u1 0 1\ns2 u9 0 1\ns3 u1\n")
    with pytest.raises(CheckFailed, match="recording 'u9' is not in wav.scp") as caught:
        load(folder)
    assert len(caught.value.findings) == 2
