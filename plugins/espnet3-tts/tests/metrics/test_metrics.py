"""Metrics beside librosa, definitions and enumeration."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from espnet3_tts.metrics.cepstrum import SCALE, distortion, mel_cepstrum, pair_distances
from espnet3_tts.metrics.config import (
    DurationMetricConfig,
    NearestConfig,
    PitchMetricConfig,
    RealTimeFactorConfig,
    SpeechMetricConfig,
)
from espnet3_tts.metrics.dtw import mean_costs, warp
from espnet3_tts.metrics.nearest import NearestRecording
from espnet3_tts.metrics.recordings import (
    DurationError,
    MelCepstralDistortion,
    PitchCorrelation,
    PitchError,
    RealTimeFactor,
    VoicingError,
)
from scipy.fft import dct
from toy_voice import Built, tone

RATE = 8000


def paths(first: int, second: int):
    """All warping paths."""
    if first == second == 1:
        yield [(0, 0)]
        return
    for a, b in ((1, 0), (0, 1), (1, 1)):
        if first - a >= 1 and second - b >= 1:
            for path in paths(first - a, second - b):
                yield [*path, (first - 1, second - 1)]


@pytest.mark.parametrize("shape", list(itertools.product(range(1, 6), repeat=2)))
def test_warping_equals_enumeration(shape):
    distances = np.random.default_rng(sum(shape)).random(shape)
    found = warp(distances)
    best = min(sum(distances[pair] for pair in path) for path in paths(*shape))
    assert distances[found[:, 0], found[:, 1]].sum() == pytest.approx(best)
    assert found[0].tolist() == [0, 0]
    assert found[-1].tolist() == [shape[0] - 1, shape[1] - 1]
    assert set(map(tuple, np.diff(found, axis=0).tolist())) <= {(1, 0), (0, 1), (1, 1)}


def test_many_warps_cost_what_single_ones_do():
    rng = np.random.default_rng(0)
    seconds = np.array([1, 4, 9, 13, 13])
    distances = rng.random((5, 7, 13))
    found = mean_costs(distances, seconds)
    for matrix, second, mean in zip(distances, seconds, found, strict=True):
        path = warp(matrix[:, :second])
        assert mean == pytest.approx(matrix[path[:, 0], path[:, 1]].mean())


def test_warping_costs_what_librosas_does():
    librosa = pytest.importorskip("librosa")
    distances = np.random.default_rng(0).random((60, 83))
    total, _ = librosa.sequence.dtw(C=distances)
    found = warp(distances)
    assert distances[found[:, 0], found[:, 1]].sum() == pytest.approx(total[-1, -1])


def test_the_cepstrum_is_a_cosine_transform():
    log_mel = np.random.default_rng(0).standard_normal((7, 80))
    wanted = dct(log_mel, type=2, axis=1)[:, 1:25] / (2 * 80)
    np.testing.assert_allclose(mel_cepstrum(log_mel, 24), wanted, atol=1e-12)


def test_distortion_by_the_definition():
    first, second = np.random.default_rng(0).standard_normal((2, 5, 24))
    path = np.array([(n, n) for n in range(5)])
    wanted = np.mean([10 / math.log(10) * math.sqrt(2 * ((a - b) ** 2).sum()) for a, b in zip(first, second)])  # noqa: B905
    assert distortion(pair_distances(first, second), path) == pytest.approx(wanted)
    assert pytest.approx(6.1419, abs=1e-4) == SCALE


def voice(hertz: float, seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    return tone(hertz, seconds, np.random.default_rng(seed)).numpy()


def scored(metric, pairs):
    ids = [f"u{n}" for n in range(len(pairs))]
    metric.update(ids, reference=[a for a, _ in pairs], audio=[Audio(b, RATE) for _, b in pairs])
    return metric.compute()


def test_a_recording_is_as_itself():
    speech = voice(150)
    config, pitch = SpeechMetricConfig(n_mels=40), PitchMetricConfig(n_mels=40)
    assert scored(MelCepstralDistortion(config, sample_rate=RATE), [(speech, speech)])["mcd"] < 1e-3
    assert scored(PitchError(pitch, sample_rate=RATE), [(speech, speech)])["f0_rmse"] == 0
    assert scored(VoicingError(pitch, sample_rate=RATE), [(speech, speech)])["voicing_error"] == 0
    assert (
        scored(DurationError(DurationMetricConfig(), sample_rate=RATE), [(speech, speech)])["duration_error"]
        == 0
    )


def test_loudness_does_not_count_as_distortion():
    speech = voice(150)
    found = scored(
        MelCepstralDistortion(SpeechMetricConfig(n_mels=40), sample_rate=RATE), [(speech, 0.5 * speech)]
    )
    assert found["mcd"] < 0.1


def test_the_nearest_recording():
    recordings = [{"id": f"t{hertz}", "speech": voice(hertz, 0.4)} for hertz in (100, 180, 320)]
    among = Built(lambda config: recordings, None)
    references, made = [voice(170, 0.5), voice(300, 0.3)], [voice(171, 0.5), voice(90, 0.3)]
    metric = NearestRecording(
        NearestConfig(n_mels=40, among=among), sample_rate=RATE, recipe_dir=Path("nowhere")
    )
    found = scored(metric, list(zip(references, made, strict=True)))

    def distance(reference, other):
        plain = MelCepstralDistortion(SpeechMetricConfig(n_mels=40), sample_rate=RATE)
        return scored(plain, [(reference, other)])["mcd"]

    all_of_them = [[distance(reference, item["speech"]) for item in recordings] for reference in references]
    assert found["nearest_mcd"] == pytest.approx(np.mean([min(row) for row in all_of_them]))
    assert [entry["nearest"] for entry in metric.per_utterance()] == ["t180", "t320"]
    assert metric.per_utterance()[0]["mcd"] == pytest.approx(distance(references[0], made[0]))
    assert found["nearer"] == 50.0


def test_pitch_errors_are_in_hertz():
    config = PitchMetricConfig(n_mels=40)
    found = scored(PitchError(config, sample_rate=RATE), [(voice(150), voice(160)), (voice(200), voice(200))])
    assert found["f0_rmse"] == pytest.approx(math.sqrt((10**2 + 0) / 2), rel=0.1)
    assert found["interval"][0] < found["f0_rmse"] < found["interval"][1]
    assert found["utterances"] == 2


def test_correlation_and_voicing_of_pairs():
    config = PitchMetricConfig(n_mels=40)
    metric = PitchCorrelation(config, sample_rate=RATE)
    wanted, made = np.array([100.0, 0, 120, 140, 160]), np.array([110.0, 90, 0, 150, 155])
    metric.pairs("u", wanted, made)
    metric.pairs("flat", np.full(5, 100.0), made)
    both = [0, 3, 4]
    assert metric.compute()["f0_correlation"] == pytest.approx(np.corrcoef(wanted[both], made[both])[0, 1])
    voicing = VoicingError(config, sample_rate=RATE)
    voicing.pairs("u", wanted, made)
    assert voicing.compute()["voicing_error"] == pytest.approx(40.0)


def test_duration_without_the_silence_around_it():
    quiet = np.zeros(RATE // 2, np.float32)
    reference, made = voice(150, 2.0), np.concatenate([quiet, voice(150, 1.5), quiet])
    found = scored(DurationError(DurationMetricConfig(), sample_rate=RATE), [(reference, made)])
    assert found["duration_error"] == pytest.approx(25.0, abs=3)


def test_the_real_time_factor_is_pooled():
    metric = RealTimeFactor(RealTimeFactorConfig())
    metric.update(["a", "b"], rtf=[0.1, 0.4], duration=[3.0, 1.0])
    assert metric.compute()["rtf"] == pytest.approx(0.7 / 4)


def test_shards_are_joined():
    pairs = [(voice(150, seed=n), voice(150 + n, seed=n + 1)) for n in range(3)]
    config = SpeechMetricConfig(n_mels=40)
    whole, first, second = (MelCepstralDistortion(config, sample_rate=RATE) for _ in range(3))
    for metric, part in ((whole, pairs), (first, pairs[:1]), (second, pairs[1:])):
        scored(metric, part)
    first.merge(second)
    assert first.compute()["mcd"] == pytest.approx(whole.compute()["mcd"])


def test_rates_and_lengths_that_do_not_fit_are_told():
    metric = MelCepstralDistortion(SpeechMetricConfig(n_mels=40), sample_rate=RATE)
    with pytest.raises(UserError, match="'u': speech at 16000 Hz is compared with a reference at 8000 Hz"):
        metric.update(["u"], reference=[voice(150)], audio=[Audio(voice(150), 16000)])
    with pytest.raises(UserError, match="'u': 100 samples are too few"):
        metric.update(["u"], reference=[voice(150)], audio=[Audio(voice(150)[:100], RATE)])
    with pytest.raises(UserError, match=r"need training\.dataset\.sample_rate"):
        MelCepstralDistortion(SpeechMetricConfig(), sample_rate=None)
