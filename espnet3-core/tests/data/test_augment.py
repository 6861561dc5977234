from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from espnet3_core.data.audio import read_audio
from espnet3_core.data.augment import Gain, Noise, RoomResponse, Speed, convolve, power
from espnet3_core.data.config import GainConfig, NoiseConfig, RoomResponseConfig, SpeedConfig
from espnet3_core.errors import UserError
from scipy.signal import fftconvolve

Tone = Callable[..., Path]
RATE = 16000


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def speech(seconds: float = 1.0, hertz: float = 500.0) -> dict[str, Any]:
    time = np.arange(round(RATE * seconds)) / RATE
    return {"id": "u", "speech": (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32), "text": "words"}


def pitch(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return float(np.argmax(spectrum) * RATE / (1 << 18))


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.3])
def test_speed_changes_length_and_pitch_and_nothing_else(factor: float) -> None:
    item = speech()
    changed = Speed(SpeedConfig(factors=[factor]), sample_rate=RATE)(item, rng())
    assert abs(len(changed["speech"]) - RATE / factor) <= 1
    assert pitch(changed["speech"]) == pytest.approx(500 * factor, abs=1)
    assert changed["speech"].dtype == np.float32
    assert changed["text"] == "words"
    assert len(item["speech"]) == RATE


def test_speed_draws_each_factor_equally_often() -> None:
    speed = Speed(SpeedConfig(), sample_rate=RATE)
    generator = rng()
    lengths = [len(speed(speech(0.05), generator)["speech"]) for _ in range(600)]
    counts = np.unique(lengths, return_counts=True)[1]
    assert len(counts) == 3
    assert (np.abs(counts - 200) < 45).all()


def test_gain_is_exact_in_db() -> None:
    item = speech()
    changed = Gain(GainConfig(min_db=6.0, max_db=6.0))(item, rng())
    assert 10 * np.log10(power(changed["speech"]) / power(item["speech"])) == pytest.approx(6.0, abs=1e-4)
    drawn = [Gain(GainConfig(min_db=-3, max_db=3))(item, rng(seed)) for seed in range(50)]
    levels = [10 * np.log10(power(one["speech"]) / power(item["speech"])) for one in drawn]
    assert min(levels) > -3.001
    assert max(levels) < 3.001
    assert np.std(levels) > 1


@pytest.mark.parametrize("noise_seconds", [0.3, 5.0])
@pytest.mark.parametrize("snr", [-5.0, 10.0])
def test_noise_has_the_ratio_asked_for(tone: Tone, tmp_path: Path, noise_seconds: float, snr: float) -> None:
    tone("noise/hum.wav", noise_seconds, hertz=3000)
    item = speech()
    noise = Noise(NoiseConfig(path="noise", min_snr=snr, max_snr=snr), sample_rate=RATE, recipe_dir=tmp_path)
    changed = noise(item, rng())
    added = changed["speech"] - item["speech"]
    assert 10 * np.log10(power(item["speech"]) / power(added)) == pytest.approx(snr, abs=0.01)
    if noise_seconds > 1:
        assert pitch(added) == pytest.approx(3000, abs=2)
    assert not np.array_equal(changed["speech"], noise(item, rng(1))["speech"])
    np.testing.assert_array_equal(changed["speech"], pickle.loads(pickle.dumps(noise))(item, rng())["speech"])


def test_noise_of_another_rate_needs_permission_and_silence_is_left_alone(tone: Tone, tmp_path: Path) -> None:
    tone("hum.wav", 4.0, rate=8000, hertz=1000)
    config = NoiseConfig(path="hum.wav")
    with pytest.raises(UserError, match="8000 Hz"):
        Noise(config, sample_rate=RATE, recipe_dir=tmp_path)(speech(), rng())
    config = NoiseConfig(path="hum.wav", resample="soxr")
    assert len(Noise(config, sample_rate=RATE, recipe_dir=tmp_path)(speech(), rng())["speech"]) == RATE
    silent = {"id": "u", "speech": np.zeros(100, np.float32)}
    assert Noise(config, sample_rate=RATE, recipe_dir=tmp_path)(silent, rng())["speech"].max() == 0


def test_noise_keeps_digital_silence_silent(tone: Tone, tmp_path: Path) -> None:
    tone("hum.wav", 4.0, hertz=3000)
    config = NoiseConfig(path="hum.wav", min_snr=10, max_snr=10, keep_silence=True)
    item = speech(1.0)
    item["speech"][4000:8000] = 0
    item["speech"][12000:12100] = 0  # shorter than 10 ms: a quiet moment of the recording itself
    changed = Noise(config, sample_rate=RATE, recipe_dir=tmp_path)(item, rng())["speech"]
    assert np.all(changed[4000:8000] == 0)
    assert np.abs(changed[12000:12100]).max() > 0
    sounding = np.r_[0:4000, 8000:RATE]
    added = (changed - item["speech"])[sounding]
    assert 10 * np.log10(power(item["speech"][sounding]) / power(added)) == pytest.approx(10, abs=0.05)


def test_convolution_equals_scipy() -> None:
    one, two = (rng(seed).standard_normal(count).astype(np.float32) for seed, count in ((0, 1000), (1, 77)))
    np.testing.assert_allclose(convolve(one, two), fftconvolve(one, two), atol=1e-4)


def test_room_response_keeps_length_power_and_timing(tmp_path: Path) -> None:
    import soundfile

    response = np.zeros(4000)
    response[100] = 0.5
    soundfile.write(tmp_path / "delay.wav", response, RATE, subtype="FLOAT")
    item = {"id": "u", "speech": rng().standard_normal(RATE).astype(np.float32)}
    room = RoomResponse(RoomResponseConfig(path="delay.wav"), sample_rate=RATE, recipe_dir=tmp_path)
    np.testing.assert_allclose(room(item, rng())["speech"], item["speech"], atol=1e-4)

    response[100:] += rng(1).standard_normal(3900) * np.exp(-np.arange(3900) / 800) * 0.05
    soundfile.write(tmp_path / "room.wav", response, RATE, subtype="FLOAT")
    room = RoomResponse(RoomResponseConfig(path="room.wav"), sample_rate=RATE, recipe_dir=tmp_path)
    wet = pickle.loads(pickle.dumps(room))(item, rng())["speech"]
    assert wet.shape == item["speech"].shape
    assert power(wet) == pytest.approx(power(item["speech"]), rel=1e-4)
    stored = read_audio(tmp_path / "room.wav", sample_rate=RATE)
    expected = fftconvolve(item["speech"], stored)[int(np.argmax(np.abs(stored))) :][:RATE]
    assert np.corrcoef(expected, wet)[0, 1] > 0.99999


def test_probability_is_a_share_of_the_utterances() -> None:
    gain = Gain(GainConfig(min_db=3, max_db=6, probability=0.3))
    generator = rng()
    item = speech(0.01)
    changed = sum(gain(item, generator) is not item for _ in range(1000))
    assert 250 < changed < 350


def test_bad_settings_and_missing_audio_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="probability"):
        Gain(GainConfig(probability=1.5))
    with pytest.raises(UserError, match="lower bound"):
        Gain(GainConfig(min_db=3, max_db=1))
    with pytest.raises(UserError, match="factors"):
        Speed(SpeedConfig(factors=[0.0]), sample_rate=RATE)
    with pytest.raises(UserError, match="does not exist"):
        Noise(NoiseConfig(path="none"), sample_rate=RATE, recipe_dir=tmp_path)
    with pytest.raises(UserError, match="no audio to augment"):
        Gain(GainConfig())({"id": "u", "text": "x"}, rng())
