import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.frontends.config import LogMelConfig
from espnet3_speech.frontends.gain_control import local_level
from espnet3_speech.frontends.log_mel import LogMel
from numpy.typing import NDArray


def speechlike(samples: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(samples, generator=generator, dtype=torch.float64)
    envelope = 0.55 + 0.45 * torch.sin(torch.arange(samples) * (2 * np.pi * 4 / 16000) + seed)
    return 0.2 * torch.cumsum(noise, 0).sub(torch.cumsum(noise, 0).mean()).tanh() * envelope + 0.01 * noise


def slow_log_mel(
    speech: NDArray[np.float64], rate: int, bands: int, window: int, hop: int
) -> NDArray[np.float64]:
    """Frame by frame with numpy, and mel triangles written out; no code shared with the package."""
    n_fft = 1
    while n_fft < window:
        n_fft *= 2
    taper = 0.5 * (1 - np.cos(2 * np.pi * np.arange(window) / window))
    padded = np.pad(speech, n_fft // 2, mode="reflect")

    def hertz(mel: float) -> float:
        return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)

    top = 15 + 27 * np.log(rate / 2 / 1000) / np.log(6.4)
    edges = [hertz(top * i / (bands + 1)) for i in range(bands + 2)]
    rows = []
    for centre in range(0, len(speech) + 1, hop):
        frame = np.zeros(n_fft)
        offset = (n_fft - window) // 2
        frame[offset : offset + window] = padded[centre + offset : centre + offset + window] * taper
        power = np.abs(np.fft.fft(frame))[: n_fft // 2 + 1] ** 2
        row = []
        for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False):
            total = 0.0
            for number, value in enumerate(power):
                hz = number * rate / n_fft
                if low < hz < high:
                    height = (hz - low) / (mid - low) if hz < mid else (high - hz) / (high - mid)
                    total += height * 2 / (high - low) * value
            row.append(np.log(max(total, 1e-10)))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize(("rate", "hop_ms"), [(16000, 10.0), (16000, 8.0), (8000, 10.0)])
def test_equals_a_slow_reference(rate: int, hop_ms: float) -> None:
    config = LogMelConfig(n_mels=40, hop_ms=hop_ms)
    speech = speechlike(4321, 1)
    front = LogMel(config, sample_rate=rate).double()
    features, lengths = front(speech.unsqueeze(0), torch.tensor([4321]))
    reference = slow_log_mel(speech.numpy(), rate, 40, rate // 40, int(hop_ms * rate / 1000))
    assert lengths.tolist() == [len(reference)]
    assert features[0].numpy() == pytest.approx(reference, abs=1e-4)
    single, _ = LogMel(config, sample_rate=rate)(speech.float().unsqueeze(0), torch.tensor([4321]))
    assert single.dtype == torch.float32
    assert single[0].numpy() == pytest.approx(reference, abs=2e-3)


def test_sizes_follow_the_sample_rate() -> None:
    assert LogMel(LogMelConfig(), sample_rate=16000).n_fft == 512
    narrow = LogMel(LogMelConfig(), sample_rate=8000)
    assert (narrow.n_fft, narrow.hop, narrow.output_size) == (256, 80, 80)


@pytest.mark.parametrize("gain_window_ms", [None, 100.0])
def test_batch_and_padding_change_nothing_and_padded_frames_are_zero(gain_window_ms: float | None) -> None:
    front = LogMel(LogMelConfig(gain_window_ms=gain_window_ms), sample_rate=16000).double()
    lengths = torch.tensor([8000, 5000, 1601, 200, 1])
    speech = torch.stack([speechlike(8000, seed) for seed in range(5)])
    # What lies beyond an utterance is deliberately not zero here.
    together, frames = front(torch.nn.functional.pad(speech, (0, 999), value=0.7), lengths)
    assert frames.tolist() == front.output_lengths(lengths).tolist() == [51, 32, 11, 2, 1]
    for row, length in enumerate(lengths):
        alone, _ = front(speech[row : row + 1, :length], lengths[row : row + 1])
        assert torch.allclose(alone[0], together[row, : frames[row]], rtol=0, atol=1e-10)
        assert together[row, frames[row] :].eq(0).all()


def test_silence_and_empty_audio_are_finite() -> None:
    front = LogMel(LogMelConfig(), sample_rate=16000)
    silence, _ = front(torch.zeros(1, 1600), torch.tensor([1600]))
    assert silence.eq(float(np.log(np.float32(1e-10)))).all()
    empty, lengths = front(torch.zeros(2, 0), torch.tensor([0, 0]))
    assert empty.shape == (2, 1, 80)
    assert lengths.tolist() == [1, 1]
    assert empty.isfinite().all()


def test_autocast_does_not_reach_it() -> None:
    front = LogMel(LogMelConfig(), sample_rate=16000)
    speech, lengths = speechlike(8000, 3).float().unsqueeze(0), torch.tensor([8000])
    plain, _ = front(speech, lengths)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = front(speech.bfloat16().float(), lengths)
        same, _ = front(speech, lengths)
    assert mixed.dtype == torch.float32
    assert torch.equal(plain, same)


def test_dynamic_range_raises_what_lies_far_below_the_loudest_band() -> None:
    speech = torch.cat([speechlike(4000, 1), torch.zeros(4000, dtype=torch.float64)]).unsqueeze(0)
    lengths = torch.tensor([8000])
    plain, _ = LogMel(LogMelConfig(), sample_rate=16000)(speech, lengths)
    limited, _ = LogMel(LogMelConfig(dynamic_range_db=40.0), sample_rate=16000)(speech, lengths)
    level = plain.max() - 4 * np.log(10)
    assert torch.allclose(limited, plain.clamp(min=level))


def test_dynamic_range_per_band_counts_from_each_bands_own_loudest_frame() -> None:
    speech = torch.stack([speechlike(8000, 1), speechlike(8000, 2)])
    speech[1, 5000:] = 0  # padding, which must not count
    lengths = torch.tensor([8000, 5000])
    plain, frames = LogMel(LogMelConfig(), sample_rate=16000)(speech, lengths)
    config = LogMelConfig(dynamic_range_db=20.0, range_per_band=True)
    limited, _ = LogMel(config, sample_rate=16000)(speech, lengths)
    for row, count in enumerate(frames.tolist()):
        valid = plain[row, :count]
        assert torch.allclose(limited[row, :count], valid.maximum(valid.amax(0) - 2 * np.log(10)))


def test_gain_control_takes_jumps_of_the_level_away_but_where_they_happen() -> None:
    first, second, pause = speechlike(8000, 1), speechlike(8000, 2), torch.zeros(1600, dtype=torch.float64)
    even = torch.cat([first, pause, second]).unsqueeze(0)
    jump = torch.cat([0.1 * first, pause, second]).unsqueeze(0)
    lengths = torch.tensor([17600])
    front = LogMel(LogMelConfig(gain_window_ms=300.0, floor=1e-14), sample_rate=16000).double()
    difference = (front(even, lengths)[0] - front(jump, lengths)[0]).abs()[0]
    # A frame's level is an average over 150 ms to either side of maxima over 150 ms to either side.
    assert difference[:20].max() < 1e-9
    assert difference[90:].max() < 1e-9
    assert difference[45].max() > 0.1


def test_gain_control_raises_long_silence_only_so_far() -> None:
    speech = torch.cat([speechlike(8000, 1), 1e-4 * speechlike(24000, 2)]).unsqueeze(0)
    config = LogMelConfig(gain_window_ms=300.0, most_gain_db=40.0, floor=1e-20)
    features, _ = LogMel(config, sample_rate=16000)(speech, torch.tensor([32000]))
    plain, _ = LogMel(LogMelConfig(floor=1e-20), sample_rate=16000)(speech, torch.tensor([32000]))
    loudest = plain[0].exp().sum(1).max().log()
    assert torch.allclose(features[0, 100:], plain[0, 100:] - loudest + 4 * np.log(10), atol=1e-4)


def test_local_level_equals_its_definition() -> None:
    energies = torch.rand(2, 30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).pow(8)
    lengths = torch.tensor([30, 17])
    level = local_level(energies, lengths, 4, 20.0, 1e-10)
    for row, count in enumerate(lengths.tolist()):
        total = energies[row, :count].sum(1).tolist()
        around = [max(*total[max(i - 4, 0) : i + 5], max(total) / 100) for i in range(count)]
        smooth = [np.exp(np.mean(np.log(around[max(i - 4, 0) : i + 5]))) for i in range(count)]
        assert level[row, :count, 0].numpy() == pytest.approx(smooth)


def test_gradients_reach_the_audio() -> None:
    speech = speechlike(1600, 1).float().unsqueeze(0).requires_grad_()
    features, _ = LogMel(LogMelConfig(), sample_rate=16000)(speech, torch.tensor([1600]))
    features.sum().backward()
    assert speech.grad is not None
    assert speech.grad.isfinite().all()
    assert speech.grad.abs().sum() > 0


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="do not fit"):
        LogMel(LogMelConfig(n_fft=256), sample_rate=16000)
    with pytest.raises(UserError, match="do not fit"):
        LogMel(LogMelConfig(hop_ms=0.01), sample_rate=16000)
    with pytest.raises(UserError, match="at least 20, two frames"):
        LogMelConfig(gain_window_ms=15.0)
    with pytest.raises(UserError, match="most_gain_db"):
        LogMelConfig(most_gain_db=-1.0)
