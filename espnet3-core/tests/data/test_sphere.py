from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from espnet3_core.data.audio import audio_info, read_audio
from espnet3_core.errors import UserError

SAMPLES = (np.random.default_rng(0).standard_normal((500, 2)) * 4000).astype(np.int16)


def write_sphere(path: Path, data: bytes, *, promised: int | None = None, **fields: object) -> Path:
    given = {"sample_rate": 16000, "channel_count": 1, "sample_n_bytes": 2, "sample_coding": "pcm", **fields}
    width = int(str(given["sample_n_bytes"])) * int(str(given["channel_count"]))
    given["sample_count"] = len(data) // width if promised is None else promised
    lines = [
        f"{key} -i {value}" if isinstance(value, int) else f"{key} -s{len(str(value))} {value}"
        for key, value in given.items()
    ]
    header = "\n".join(["NIST_1A", "   1024", *lines, "end_head", ""]).encode().ljust(1024, b"\0")
    path.write_bytes(header + data)
    return path


@pytest.mark.parametrize(("order", "kind"), [("01", "<i2"), ("10", ">i2")])
def test_pcm_in_both_byte_orders(tmp_path: Path, order: str, kind: str) -> None:
    path = write_sphere(
        tmp_path / "a.sph", SAMPLES.astype(kind).tobytes(), channel_count=2, sample_byte_format=order
    )
    assert audio_info(path) == (16000, 2, 500)
    for channel in (0, 1):
        np.testing.assert_array_equal(
            read_audio(path, sample_rate=16000, channels=channel), SAMPLES[:, channel] / np.float32(32768)
        )


@pytest.mark.parametrize(("coding", "subtype"), [("ulaw", "ULAW"), ("mu-law", "ULAW"), ("alaw", "ALAW")])
def test_companded_samples_equal_libsndfile(tmp_path: Path, coding: str, subtype: str) -> None:
    codes = bytes(range(256))
    soundfile.write(tmp_path / "a.raw", np.zeros(256), 8000, subtype=subtype, format="RAW")
    (tmp_path / "a.raw").write_bytes(codes)
    expected, _ = soundfile.read(
        tmp_path / "a.raw", samplerate=8000, channels=1, subtype=subtype, format="RAW", dtype="float32"
    )
    path = write_sphere(tmp_path / "a.sph", codes, sample_coding=coding, sample_n_bytes=1, sample_rate=8000)
    np.testing.assert_array_equal(read_audio(path, sample_rate=8000), expected)


def test_sphere_under_another_suffix_is_recognised(tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "SA1.WAV", SAMPLES[:, 0].tobytes(), sample_byte_format="01")
    np.testing.assert_array_equal(read_audio(path, sample_rate=16000), SAMPLES[:, 0] / np.float32(32768))


def test_segments(tmp_path: Path) -> None:
    path = write_sphere(tmp_path / "a.sph", SAMPLES[:, 0].tobytes(), sample_rate=1000)
    np.testing.assert_array_equal(
        read_audio(path, 0.1, 0.25, sample_rate=1000), SAMPLES[100:250, 0] / np.float32(32768)
    )


def test_truncated_compressed_and_damaged_files_are_explained(tmp_path: Path) -> None:
    data = SAMPLES[:, 0].tobytes()
    cases = [
        (write_sphere(tmp_path / "a.sph", data, promised=600), "promises 600 samples, it holds 500"),
        (write_sphere(tmp_path / "b.sph", data, sample_coding="pcm,embedded-shorten-v2.00"), "sph2pipe"),
        (write_sphere(tmp_path / "c.sph", data, sample_rate=0), "damaged header"),
    ]
    for path, problem in cases:
        with pytest.raises(UserError, match=problem):
            read_audio(path, sample_rate=16000, utterance="u1")
        with pytest.raises(UserError, match=problem):
            audio_info(path, utterance="u1")


def test_an4_as_it_ships() -> None:
    folder = Path(os.environ.get("ESPNET3_CORPORA", "../shared/corpora")) / "an4_mini/an4/wav"
    files = sorted(folder.rglob("*.sph"))
    if not files:
        pytest.skip("AN4's Sphere files are not on this machine")
    for path in files:
        expected, _ = soundfile.read(path, dtype="float32")
        np.testing.assert_array_equal(read_audio(path, sample_rate=16000), expected)
