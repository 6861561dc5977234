from __future__ import annotations

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.vocoders.config import GriffinLimConfig
from espnet3_tts.vocoders.griffin_lim import GriffinLim
from numpy.random import default_rng
from toy_voice import RATE, small_features, tone


def spoken(hertz: float, seconds: float, features: Features):
    speech = tone(hertz, seconds, default_rng(0))[None]
    return speech, features(speech, torch.tensor([speech.shape[1]]))


def test_overlapped_frames_of_a_signal_are_the_signal():
    vocoder = GriffinLim(GriffinLimConfig(), features=small_features())
    signal = torch.randn(64 * 20 + 256)
    again = vocoder._synthesis(vocoder._analysis(signal))
    assert torch.allclose(again[256:-256], signal[: len(again)][256:-256], atol=1e-5)


def test_magnitudes_have_the_bands_that_were_given():
    features = small_features()
    _, wanted = spoken(200.0, 0.5, features)
    vocoder = GriffinLim(GriffinLimConfig(inversion=200, power=1.0), features=features)
    found = features.mel_of(vocoder.magnitudes(wanted.mel[0]))
    assert (found - wanted.mel[0])[:, 1:].abs().mean() < 0.02


def test_audio_has_the_spectrogram_and_the_pitch():
    features = Features(
        FeaturesConfig(n_fft=512, window=512, hop=128, n_mels=80, fmax=None), sample_rate=RATE
    )
    _, wanted = spoken(180.0, 1.0, features)
    audio = GriffinLim(GriffinLimConfig(power=1.0), features=features)(wanted.mel, wanted.lengths)
    assert audio.shape == (1, int(wanted.lengths[0]) * 128)
    found = features(audio, wanted.lengths * 128)
    assert (found.mel - wanted.mel)[0, 4:-4, :40].abs().mean() < 0.35
    voiced = (found.f0 > 0) & (wanted.f0 > 0)
    assert voiced.float().mean() > 0.8
    assert (found.f0[voiced] / wanted.f0[voiced] - 1).abs().mean() < 0.01


def test_more_iterations_come_nearer():
    features = small_features()
    _, wanted = spoken(200.0, 0.5, features)

    def distance(iterations: int, momentum: float) -> float:
        config = GriffinLimConfig(iterations=iterations, momentum=momentum, power=1.0)
        audio = GriffinLim(config, features=features)(wanted.mel, wanted.lengths)
        return float((features(audio, wanted.lengths * 64).mel - wanted.mel)[0, 4:-4].abs().mean())

    assert distance(60, 0.0) < distance(1, 0.0)
    assert distance(60, 0.99) < distance(10, 0.99)


def test_audio_depends_on_the_seed_and_not_on_the_batch():
    features = small_features()
    (_, first), (_, second) = spoken(200.0, 0.5, features), spoken(150.0, 0.3, features)
    config = GriffinLimConfig(iterations=3)
    mel = torch.nn.utils.rnn.pad_sequence([first.mel[0], second.mel[0]], batch_first=True)
    lengths = torch.cat([first.lengths, second.lengths])
    together = GriffinLim(config, features=features)(mel, lengths)
    alone = GriffinLim(config, features=features)(second.mel, second.lengths)
    assert torch.equal(together[1, : alone.shape[1]], alone[0])
    assert together[1, alone.shape[1] :].abs().sum() == 0
    other = GriffinLim(config, features=features, seed=1)(second.mel, second.lengths)
    assert not torch.allclose(other, alone)


def test_odd_options_are_refused():
    with pytest.raises(UserError, match="momentum 1 is in"):
        GriffinLimConfig(momentum=1.0)
