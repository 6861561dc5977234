from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.data.audio import audio_info, read_audio, resample
from espnet3_core.errors import UserError

Tone = Callable[..., Path]


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_formats_are_read_as_mono_float32_of_the_right_length(tone: Tone, suffix: str) -> None:
    path = tone(f"a.{suffix}", 1.5)
    samples = read_audio(path, sample_rate=16000)
    assert samples.dtype == np.float32
    assert samples.shape == (24000,)
    assert audio_info(path) == (16000, 1, 24000)
    assert audio_info(path).seconds == 1.5
    time = np.arange(24000) / 16000
    correlation = np.corrcoef(samples, np.sin(2 * np.pi * 440 * time))[0, 1]
    assert correlation > 0.999


def test_a_segment_is_cut_at_its_samples(tone: Tone) -> None:
    path = tone("a.flac", 2.0)
    whole, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_array_equal(read_audio(path, 0.5, 1.25, sample_rate=16000), whole[8000:20000])
    np.testing.assert_array_equal(read_audio(path, 1.5, sample_rate=16000), whole[24000:])
    np.testing.assert_array_equal(read_audio(path, 1.0, 2.3, sample_rate=16000), whole[16000:])


@pytest.mark.parametrize(("start", "end"), [(0.0, 2.6), (2.0, None), (2.5, 2.6), (1.0, 1.0), (-0.5, 1.0)])
def test_a_segment_outside_the_file_is_an_error(tone: Tone, start: float, end: float | None) -> None:
    with pytest.raises(UserError, match=r"utterance 'u7'.*a\.wav"):
        read_audio(tone("a.wav", 2.0), start, end, sample_rate=16000, utterance="u7")


def test_another_rate_is_refused_and_both_rates_are_named(tone: Tone) -> None:
    with pytest.raises(UserError) as caught:
        read_audio(tone("a.wav", rate=8000), sample_rate=16000, utterance="u1", place="train.tsv:5")
    message = str(caught.value)
    assert message.startswith("train.tsv:5: utterance 'u1'")
    assert "8000 Hz" in message
    assert "16000 Hz" in message
    assert "`resample: soxr`" in message


def test_resampling_keeps_the_tone(tone: Tone) -> None:
    samples = read_audio(tone("a.wav", rate=44100), sample_rate=16000, resample="soxr")
    assert abs(len(samples) - 16000) <= 1
    time = np.arange(len(samples)) / 16000
    error = samples - 0.5 * np.sin(2 * np.pi * 440 * time)
    assert np.abs(error[500:-500]).max() < 1e-3


def test_resample_removes_what_the_new_rate_cannot_hold() -> None:
    time = np.arange(16000) / 16000
    high = np.sin(2 * np.pi * 6000 * time).astype(np.float32)
    assert np.abs(resample(high, 16000, 8000)[200:-200]).max() < 1e-3


def test_channels_are_refused_unless_a_policy_says_which(tone: Tone) -> None:
    path = tone("a.wav", channels=2)
    stereo, _ = soundfile.read(path, dtype="float32")
    with pytest.raises(UserError, match="has 2 channels"):
        read_audio(path, sample_rate=16000)
    np.testing.assert_array_equal(read_audio(path, sample_rate=16000, channels="first"), stereo[:, 0])
    np.testing.assert_allclose(
        read_audio(path, sample_rate=16000, channels="mean"), stereo.mean(1), atol=1e-7
    )
    np.testing.assert_array_equal(read_audio(path, sample_rate=16000, channels=1), stereo[:, 1])
    with pytest.raises(UserError, match="channel 2"):
        read_audio(path, sample_rate=16000, channels=2)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff", "au"])
def test_a_file_cut_in_half_is_an_error_with_its_utterance(tone: Tone, suffix: str) -> None:
    path = tone(f"a.{suffix}", 3.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"m\.tsv:3: utterance 'u3': .*(truncated|cannot be decoded)"):
        read_audio(path, sample_rate=16000, utterance="u3", place="m.tsv:3")


@pytest.mark.parametrize("suffix", ["wav", "flac", "sph", "mp3"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (b"not audio at all" * 50, "cannot be decoded|not a Sphere"),
    ],
)
def test_unreadable_files_are_errors_with_their_utterance(
    tmp_path: Path, suffix: str, content: bytes | None, problem: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    if content is not None:
        path.write_bytes(content)
    for call in (
        lambda: read_audio(path, sample_rate=16000, utterance="u3"),
        lambda: audio_info(path, utterance="u3"),
    ):
        with pytest.raises(UserError, match=rf"utterance 'u3': .*a\.{suffix}.*({problem})"):
            call()


def test_a_format_without_decoder_is_told_how_to_convert(tmp_path: Path) -> None:
    path = tmp_path / "my memo.m4a"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(64))
    with pytest.raises(UserError, match=r"has the format \.m4a, which is not read") as caught:
        audio_info(path)
    assert "ffmpeg -i 'my memo.m4a' 'my memo.flac'" in str(caught.value)


def test_a_folder_is_not_audio(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder"):
        read_audio(tmp_path, sample_rate=16000)


def test_a_file_without_samples_is_an_error(tone: Tone) -> None:
    with pytest.raises(UserError, match="holds no samples"):
        read_audio(tone("a.wav", 0.0), sample_rate=16000)


def test_samples_that_are_not_numbers_are_an_error(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.array([0.0, np.nan, 0.1]), 16000, subtype="FLOAT")
    with pytest.raises(UserError, match="not finite"):
        read_audio(tmp_path / "a.wav", sample_rate=16000)


def test_a_streamed_wav_without_sizes_is_read(tone: Tone) -> None:
    path = tone("a.wav", 1.0)
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert read_audio(path, sample_rate=16000).shape == (16000,)


def test_a_flac_file_that_does_not_state_its_length_is_explained(tone: Tone) -> None:
    path = tone("a.flac", 1.0)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    for call in (lambda: read_audio(path, sample_rate=16000), lambda: audio_info(path)):
        with pytest.raises(UserError, match="does not state its length"):
            call()


def test_errors_survive_pickling(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_audio(tmp_path / "a.wav", sample_rate=16000, utterance="u1")
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)


def test_importing_does_not_load_soundfile() -> None:
    code = (
        "import sys, espnet3_core.data.audio; sys.exit('soundfile' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
