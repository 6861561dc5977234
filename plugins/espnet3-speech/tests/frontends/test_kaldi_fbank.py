import os
from dataclasses import replace
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import torch
from espnet3_speech.frontends.config import KaldiFbankConfig
from espnet3_speech.frontends.kaldi_fbank import KaldiFbank
from numpy.typing import NDArray

CORPORA = Path(os.environ.get("ESPNET3_CORPORA", Path(__file__).parents[4].parent / "shared" / "corpora"))


def kaldi(speech: NDArray[np.float32], rate: int, config: KaldiFbankConfig) -> NDArray[np.float32]:
    """kaldi-native-fbank with the same settings."""
    options = kaldi_native_fbank.FbankOptions()
    frame = options.frame_opts
    frame.samp_freq, frame.dither, frame.snip_edges = rate, 0.0, config.snip_edges
    frame.frame_shift_ms, frame.frame_length_ms = config.hop_ms, config.window_ms
    frame.preemph_coeff, frame.remove_dc_offset = config.preemphasis, config.remove_dc
    frame.window_type = config.window
    options.mel_opts.num_bins = config.n_mels
    options.mel_opts.low_freq, options.mel_opts.high_freq = config.fmin, config.fmax
    options.use_energy, options.raw_energy = config.use_energy, config.raw_energy
    options.energy_floor, options.use_power = config.energy_floor, config.use_power
    online = kaldi_native_fbank.OnlineFbank(options)
    online.accept_waveform(rate, (speech * 32768.0).tolist())
    online.input_finished()
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


def voice(samples: int, seed: int, rate: int = 16000) -> NDArray[np.float32]:
    """Harmonics of a gliding pitch with noise."""
    random = np.random.default_rng(seed)
    time = np.arange(samples) / rate
    phase = 2 * np.pi * np.cumsum(110 + 30 * np.sin(2 * np.pi * 2 * time)) / rate
    tones = sum(np.sin(k * phase) / k for k in range(1, 20))
    return (
        0.1 * tones * (1.1 + np.sin(2 * np.pi * 3 * time)) + 1e-3 * random.standard_normal(samples)
    ).astype("f4")


CONFIGS = {
    "default": KaldiFbankConfig(),
    "mirrored": KaldiFbankConfig(snip_edges=False, n_mels=40),
    "energy": KaldiFbankConfig(use_energy=True, energy_floor=1.0, fmax=-400.0),
    "windowed energy": KaldiFbankConfig(use_energy=True, raw_energy=False, window="hamming"),
    "magnitude": KaldiFbankConfig(use_power=False, remove_dc=False, preemphasis=0.0, window="hanning"),
    "5 ms": KaldiFbankConfig(window_ms=20.0, hop_ms=5.0, n_mels=23, window="blackman"),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("rate", [16000, 8000])
def test_equals_kaldi_on_a_generated_voice(name: str, rate: int) -> None:
    config = replace(CONFIGS[name])
    speech = voice(rate + 37, 1, rate)
    features, lengths = KaldiFbank(config, sample_rate=rate).eval()(
        torch.from_numpy(speech).unsqueeze(0), torch.tensor([len(speech)])
    )
    reference = kaldi(speech, rate, config)
    assert lengths.tolist() == [len(reference)]
    assert features[0].numpy() == pytest.approx(reference, abs=1e-3)


def test_equals_kaldi_on_real_speech() -> None:
    soundfile = pytest.importorskip("soundfile")
    files = (
        sorted(CORPORA.glob("fsdd/**/*.wav"))[::400]
        + sorted(CORPORA.glob("librispeech_test100/**/*.flac"))[::40]
    )
    if not files:
        pytest.skip("no real speech here: set ESPNET3_CORPORA")
    for file in files:
        speech, rate = soundfile.read(file, dtype="float32")
        for config in (CONFIGS["default"], CONFIGS["mirrored"]):
            features, _ = KaldiFbank(config, sample_rate=rate).eval()(
                torch.from_numpy(speech).unsqueeze(0), torch.tensor([len(speech)])
            )
            reference = kaldi(speech, rate, config)
            # Bands 60 dB below the loudest of their frame are rounding errors of float32, Kaldi's too:
            # it is up to 5e-3 off the same computation in float64 there.
            heard = reference > reference.max(1, keepdims=True) - 6 * np.log(10)
            assert features[0].numpy()[heard] == pytest.approx(reference[heard], abs=1e-3), file
            assert features[0].numpy() == pytest.approx(reference, abs=0.03), file


@pytest.mark.parametrize("snip_edges", [True, False])
def test_batch_and_padding_change_nothing(snip_edges: bool) -> None:
    front = KaldiFbank(KaldiFbankConfig(snip_edges=snip_edges, n_mels=20), sample_rate=16000).double().eval()
    lengths = torch.tensor([6000, 4321, 400, 399, 70])
    speech = torch.from_numpy(np.stack([voice(6000, seed) for seed in range(5)])).double()
    together, frames = front(torch.nn.functional.pad(speech, (0, 777), value=0.3), lengths)
    assert frames.tolist() == ([36, 25, 1, 0, 0] if snip_edges else [38, 27, 3, 2, 0])
    for row, length in enumerate(lengths):
        alone, _ = front(speech[row : row + 1, :length], lengths[row : row + 1])
        assert torch.allclose(alone[0], together[row, : frames[row]], rtol=0, atol=1e-10)
        assert together[row, frames[row] :].eq(0).all()


def test_dither_is_for_training_and_repeats_with_the_seed() -> None:
    front = KaldiFbank(KaldiFbankConfig(dither=1.0), sample_rate=16000)
    speech, lengths = torch.zeros(1, 1600), torch.tensor([1600])
    assert torch.equal(front.eval()(speech, lengths)[0], front(speech, lengths)[0])
    torch.manual_seed(1)
    first, _ = front.train()(speech, lengths)
    second, _ = front(speech, lengths)
    torch.manual_seed(1)
    again, _ = front(speech, lengths)
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
    # White noise of variance 1 has energies far above the floor of silence, which is -16.
    assert first.min() > -10
