"""Spectrograms beside librosa's, F0 beside tones whose pitch is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.features.pitch import normalised_difference, period

RATE = 16000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.1 * rng.standard_normal(samples) * np.linspace(0.1, 1, samples)).astype(np.float32)


def features(**options) -> Features:
    return Features(FeaturesConfig(**options), sample_rate=RATE)


@pytest.mark.parametrize(
    "options",
    [{}, {"window": 800, "hop": 200, "fmin": 50.0, "fmax": 7600.0}, {"fmax": None, "n_mels": 100}],
)
def test_mel_and_energy_equal_librosas(options):
    librosa = pytest.importorskip("librosa")
    made = features(epsilon=0.0, **options)
    config = made.config
    speech = noise(40 * config.hop)
    found = made(torch.from_numpy(speech)[None], torch.tensor([len(speech)]))
    edge = (config.n_fft - config.hop) // 2
    spectrum = np.abs(
        librosa.stft(
            np.pad(speech, edge, mode="reflect"),
            n_fft=config.n_fft,
            hop_length=config.hop,
            win_length=config.window,
            center=False,
        )
    )
    bands = librosa.feature.melspectrogram(
        S=spectrum, sr=RATE, n_fft=config.n_fft, n_mels=config.n_mels, fmin=config.fmin, fmax=config.fmax
    )
    wanted = np.log(np.maximum(bands, config.floor)).T
    assert found.mel.shape == (1, 40, config.n_mels)
    np.testing.assert_allclose(found.mel[0].numpy(), wanted, atol=1e-4)
    np.testing.assert_allclose(found.energy[0].numpy(), np.log(np.linalg.norm(spectrum, axis=0)), atol=1e-4)


def test_the_epsilon_is_hifigans():
    made, plain = features(), features(epsilon=0.0)
    speech = torch.zeros(1, 4096)
    lengths = torch.tensor([4096])
    assert torch.allclose(made.magnitudes(speech, lengths), torch.tensor(1e-9).sqrt())
    assert plain.magnitudes(speech, lengths).abs().max() == 0
    assert plain(speech, lengths).mel.unique().tolist() == [pytest.approx(np.log(1e-5))]


def test_a_batch_changes_nothing():
    made = features()
    alone = [torch.from_numpy(noise(samples, samples)) for samples in (5000, 12345, 1024)]
    lengths = torch.tensor([len(row) for row in alone])
    padded = torch.nn.utils.rnn.pad_sequence(alone, batch_first=True, padding_value=7.0)
    together = made(padded, lengths)
    for row, speech in enumerate(alone):
        single = made(speech[None], torch.tensor([len(speech)]))
        frames = len(speech) // 256
        assert together.lengths[row] == frames
        for many, one in (
            (together.mel, single.mel),
            (together.energy, single.energy),
            (together.f0, single.f0),
        ):
            assert torch.allclose(many[row, :frames], one[0], atol=1e-5)
            assert many[row, frames:].abs().sum() == 0


@pytest.mark.parametrize("hertz", [70.0, 110.5, 220.0, 333.3, 470.0])
def test_f0_of_tones(hertz):
    time = np.arange(RATE) / RATE
    wave = sum(np.cos(2 * np.pi * hertz * k * time + k) / k for k in range(1, 8))
    rng = np.random.default_rng(0)
    speech = torch.from_numpy((0.1 * wave + 0.002 * rng.standard_normal(RATE)).astype(np.float32))
    f0 = features().f0(speech[None], torch.tensor([RATE]))[0, 4:-4]
    assert bool((f0 > 0).all())
    assert abs(f0 / hertz - 1).max() < 0.005


def test_f0_follows_a_glide():
    time = np.arange(2 * RATE) / RATE
    hertz = 120 + 60 * time
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    speech = torch.from_numpy((0.1 * sum(np.sin(k * phase) / k for k in range(1, 6))).astype(np.float32))
    f0 = features().f0(speech[None], torch.tensor([2 * RATE]))[0].numpy()
    wanted = hertz[128::256][: len(f0)]
    assert np.abs(f0 / wanted - 1)[5:-5].max() < 0.02


def test_noise_and_silence_are_unvoiced():
    made = features()
    quiet = torch.zeros(1, 8000)
    assert made.f0(quiet, torch.tensor([8000])).abs().sum() == 0
    hiss = torch.from_numpy(noise(RATE))[None]
    assert (made.f0(hiss, torch.tensor([RATE])) > 0).float().mean() < 0.02


def test_voicing_ends_with_the_tone():
    time = np.arange(RATE) / RATE
    wave = 0.1 * np.sign(np.sin(2 * np.pi * 150 * time)) * (time < 0.5)
    f0 = features().f0(torch.from_numpy(wave.astype(np.float32))[None], torch.tensor([RATE]))[0]
    voiced = (f0 > 0).nonzero().flatten()
    assert voiced[0] <= 2
    assert abs(int(voiced[-1]) - 0.5 * RATE / 256) <= 3
    assert len(voiced) == voiced[-1] - voiced[0] + 1


def test_the_difference_function_is_yins():
    """Equations 6 and 8, summed term by term."""
    frame = np.random.default_rng(1).standard_normal(90)
    window, lags = 60, 30
    difference = [sum((frame[j] - frame[j + lag]) ** 2 for j in range(window)) for lag in range(lags + 1)]
    wanted = [1.0] + [difference[lag] * lag / sum(difference[1 : lag + 1]) for lag in range(1, lags + 1)]
    found = normalised_difference(torch.from_numpy(frame), window)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9)


def test_the_first_dip_counts_and_is_refined():
    lags = torch.arange(40, dtype=torch.float64)
    curve = torch.ones(40, dtype=torch.float64)
    curve[10:15] = 0.1 + 0.05 * (lags[10:15] - 12.3) ** 2
    curve[24:29] = 0.05
    place, there = period(curve, 3, 0.3)
    assert bool(there)
    assert place.item() == pytest.approx(12.3)
    assert not period(curve, 3, 0.01)[1]


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(UserError, match="hop 300, window 256 and n_fft 512 do not fit"):
        FeaturesConfig(n_fft=512, window=256, hop=300)
    with pytest.raises(UserError, match="f0_min 500 is not below f0_max 500"):
        FeaturesConfig(f0_min=500)
    with pytest.raises(UserError, match="do not fit audio of 8000 Hz"):
        Features(FeaturesConfig(), sample_rate=8000)
