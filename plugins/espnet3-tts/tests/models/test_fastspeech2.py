from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.aligners.durations import expanded, rounded, token_means
from espnet3_tts.encoders.config import FeedForwardTransformerConfig
from espnet3_tts.encoders.fft import FeedForwardTransformer
from espnet3_tts.models.contract import Controls
from espnet3_tts.models.fastspeech2.variance import gamma_deviance
from espnet3_tts.models.predictor import Predictor
from espnet3_tts.models.predictor_config import PredictorConfig

Statistics = namedtuple("Statistics", "mean std count")
TEXTS, SECONDS = ["hello", "what is it?", "no"], [0.4, 0.6, 0.3]


def forward(model, batch, rows=slice(None), **more):
    fields = {key: value[rows] for key, value in batch.items()}
    fields["speech"] = fields["speech"][:, : fields["speech_lengths"].max()]
    fields["text"] = fields["text"][:, : fields["text_lengths"].max()]
    return model(**fields, **more)


def test_averages_over_the_frames_of_tokens():
    values = torch.tensor([[1.0, 3.0, 5.0, 7.0, 9.0], [2.0, 4.0, 6.0, 0.0, 0.0]])
    counted = torch.tensor([[True, True, False, True, True], [True, True, False, False, False]])
    durations = torch.tensor([[2, 1, 2], [1, 2, 0]])
    assert token_means(values, counted, durations).tolist() == [[2.0, 0.0, 8.0], [2.0, 4.0, 0.0]]


def test_vectors_are_repeated():
    hidden = torch.arange(6.0).view(1, 3, 2).repeat(2, 1, 1)
    frames, lengths = expanded(hidden, torch.tensor([[1, 0, 2], [2, 2, 1]]))
    assert lengths.tolist() == [3, 5]
    assert frames[0, :, 0].tolist() == [0, 4, 4, 0, 0]
    assert frames[1, :, 0].tolist() == [0, 0, 2, 2, 4]


def test_rounding_keeps_the_total():
    torch.manual_seed(0)
    real = torch.rand(4, 50) * 3
    whole = rounded(real)
    assert whole.min() >= 0
    assert (whole.sum(1) - real.sum(1)).abs().max() <= 0.5 + 1e-4
    assert rounded(torch.full((1, 4), 0.5)).tolist() == [[1, 0, 1, 0]]


def test_durations_are_right_on_average():
    """One number for many durations: the loss is least at their mean, not at the mean of the logarithms."""
    durations = torch.distributions.LogNormal(1.5, 0.6).sample((1, 2000))
    candidates = torch.linspace(0, 3, 3001)
    losses = torch.stack([gamma_deviance(log.expand_as(durations), durations).mean() for log in candidates])
    best = candidates[losses.argmin()]
    assert best.item() == pytest.approx(durations.mean().log().item(), abs=1e-3)
    assert abs(best - durations.log().mean()) > 0.1
    assert gamma_deviance(durations.log(), durations).abs().max() < 1e-6
    near = gamma_deviance(durations.log() + 0.01, durations)
    assert torch.allclose(near, torch.full_like(near, 1e-4), rtol=0.02)


def test_losses_are_finite_and_reach_every_parameter(make_model, make_batch):
    model = make_model(aligner={"binarization_start": 0, "binarization_ramp": 1})
    output = forward(model, make_batch(TEXTS, SECONDS))
    names = ("mel", "duration", "pitch", "energy", "align", "binary")
    assert output["loss"].item() == pytest.approx(
        sum(float(output[f"loss_{name}"]) for name in names), rel=1e-5
    )
    assert output["weight"] == 3
    output["loss"].backward()
    without = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]
    assert without == []


def test_binarization_grows_from_its_start(make_model, make_batch):
    model = make_model(aligner={"binarization_start": 2, "binarization_ramp": 2, "binarization_weight": 3.0})
    batch = make_batch(TEXTS, SECONDS)
    found = [float(forward(model, batch)["loss_binary"]) for _ in range(6)]
    assert found[:2] == [0, 0]
    assert found[2] == pytest.approx(found[3] / 2, rel=1e-5)
    assert found[3] == found[4] == found[5] > 0
    model.eval()
    before = model.updates.item()
    forward(model, batch)
    assert model.updates.item() == before


def test_an_utterance_is_the_same_in_any_batch(make_model, make_batch):
    model = make_model().eval()
    batch = make_batch(TEXTS, SECONDS)
    together = model.speak(batch["text"], batch["text_lengths"])
    aligned, _ = model.align(*(batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")))
    for row in range(3):
        tokens, samples = int(batch["text_lengths"][row]), int(batch["speech_lengths"][row])
        text, length = batch["text"][row : row + 1, :tokens], batch["text_lengths"][row : row + 1]
        alone = model.speak(text, length)
        frames = int(alone.lengths[0])
        assert together.lengths[row] == frames
        assert together.durations[row, :tokens].tolist() == alone.durations[0].tolist()
        assert torch.allclose(together.mel[row, :frames], alone.mel[0], atol=1e-4)
        assert together.mel[row, frames:].abs().sum() == 0
        speech = batch["speech"][row : row + 1, :samples]
        own, _ = model.align(speech, batch["speech_lengths"][row : row + 1], text, length)
        assert aligned[row, :tokens].tolist() == own[0].tolist()
        assert own.sum() == samples // 64
    losses = [forward(model, batch, slice(row, row + 1)) for row in range(3)]
    mean = np.mean([float(loss["loss_align"]) for loss in losses])
    assert float(forward(model, batch)["loss_align"]) == pytest.approx(mean, rel=1e-4)


def test_statistics_are_those_of_the_features(make_model, make_batch):
    model = make_model()
    assert model.statistics_of == ("mel", "pitch", "energy")
    batch = make_batch(TEXTS, SECONDS)
    found = model.collect_feats(batch["speech"], batch["speech_lengths"])
    acoustic = model.features(batch["speech"], batch["speech_lengths"])
    voiced = acoustic.f0[acoustic.f0 > 0]
    assert torch.equal(found["pitch"][0, :, 0], voiced.log())
    assert found["pitch_lengths"].tolist() == [len(voiced)]
    assert found["energy_lengths"].sum() == acoustic.lengths.sum() == found["mel_lengths"].sum()


def statistics(*names: str, mean: float = 0.0) -> dict[str, Statistics]:
    size = {name: 20 if name == "mel" else 1 for name in names}
    return {
        name: Statistics(np.full(count, mean + number), np.full(count, 0.5), 9)
        for number, (name, count) in enumerate(size.items())
    }


def test_speakers_have_voices_and_statistics_of_their_own(make_model, make_batch):
    names = ("mel", "pitch/ann", "pitch/bob", "energy/ann", "energy/bob")
    model = make_model(stats=statistics(*names), speakers=["ann", "bob"], statistics="speaker").eval()
    assert model.statistics_of == names
    assert model.pitch_scale.mean.flatten().tolist() == [1.0, 2.0]
    batch = make_batch(TEXTS, SECONDS)
    speakers = ["ann", "bob", "bob"]
    found = model.collect_feats(batch["speech"], batch["speech_lengths"], speakers)
    acoustic = model.features(batch["speech"], batch["speech_lengths"])
    assert found["pitch/bob_lengths"].item() == int((acoustic.f0[1:] > 0).sum())
    assert found["energy/ann_lengths"].item() == acoustic.lengths[0]
    assert forward(model, batch, speaker=speakers)["loss"].item() > 0
    ann = model.speak(batch["text"], batch["text_lengths"], speaker=["ann"] * 3)
    bob = model.speak(batch["text"], batch["text_lengths"], speaker=["bob"] * 3)
    assert ann.mel.shape != bob.mel.shape or not torch.allclose(ann.mel, bob.mel)
    with pytest.raises(UserError, match="unknown speaker 'bo'") as caught:
        model.speak(batch["text"][:1], batch["text_lengths"][:1], speaker=["bo"])
    assert "bob" in caught.value.hint
    with pytest.raises(UserError, match="2 speakers, and none is chosen"):
        model.speak(batch["text"], batch["text_lengths"])


def test_statistics_that_are_missing_or_odd_are_told(make_model):
    with pytest.raises(UserError, match="no statistics 'pitch' of 1 dimensions"):
        make_model(stats=statistics("mel", "energy"))
    with pytest.raises(UserError, match="no statistics 'mel' of 20 dimensions"):
        make_model(stats={**statistics("pitch", "energy"), "mel": Statistics(np.zeros(80), np.ones(80), 9)})


def test_more_tokens_than_frames_name_the_utterance(make_model, make_batch):
    batch = make_batch(["hi", "much too long a text for it"], [0.4, 0.1])
    with pytest.raises(UserError, match="utterance 'u1': 12 frames of audio for 29 tokens of text"):
        make_model()(**batch)


def test_controls(make_model, make_batch):
    model = make_model(stats=statistics("mel", "pitch", "energy", mean=5.0)).eval()
    with torch.no_grad():  # longer tokens, so that speed can be seen
        model.duration.out.bias.fill_(2.5)
    batch = make_batch(["hello you there"], [0.4])
    text, lengths = batch["text"], batch["text_lengths"]
    plain = model.speak(text, lengths)
    slow = model.speak(text, lengths, controls=Controls(speed=0.5))
    assert slow.lengths.item() == pytest.approx(2 * plain.lengths.item(), abs=1)
    values = torch.tensor([[0.0, 1.0]])
    raised = model._controlled(values, model.pitch_scale, 2.0, None)
    logs = model.pitch_scale.inverse(raised.unsqueeze(2)) - model.pitch_scale.inverse(values.unsqueeze(2))
    assert torch.allclose(logs, torch.tensor(2.0).log().expand_as(logs))
    for controls in (Controls(pitch=1.5), Controls(energy=2.0)):
        other = model.speak(text, lengths, controls=controls)
        assert other.durations.tolist() == plain.durations.tolist()
        assert not torch.allclose(other.mel, plain.mel)


def test_it_learns_a_sentence(make_model, make_batch):
    torch.manual_seed(0)
    model = make_model()
    batch = make_batch(TEXTS, SECONDS)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        output = model(**batch)
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
        losses.append({key: value.item() for key, value in output.items()})
    for name in ("loss_mel", "loss_duration", "loss_energy", "loss_align"):
        assert losses[-1][name] < 0.8 * losses[0][name]


def test_the_published_size_of_the_blocks():
    """A block of FastSpeech: attention, two convolutions, two layer norms."""
    torch.manual_seed(0)
    encoder = FeedForwardTransformer(FeedForwardTransformerConfig(), input_size=256)
    block = 4 * (256 * 256 + 256) + 9 * 256 * 1024 + 1024 + 1024 * 256 + 256 + 4 * 256
    assert sum(part.numel() for part in encoder.parameters()) == 4 * block + 2 * 256
    with pytest.raises(UserError, match="vectors of 100 dimensions come in, and output_size is 256"):
        FeedForwardTransformer(FeedForwardTransformerConfig(), input_size=100)
    with pytest.raises(UserError, match="kernels are odd"):
        FeedForwardTransformerConfig(kernels=(4, 1))


def test_durations_keep_their_precision_in_half_precision():
    predictor = Predictor(PredictorConfig(channels=8), input_size=4).eval()
    with torch.autocast("cpu", torch.bfloat16):
        assert predictor(torch.randn(1, 5, 4), torch.tensor([5])).dtype == torch.float32


def test_something_is_to_be_heard_of_any_text():
    assert rounded(torch.tensor([[0.2, 0.1], [0.2, 0.4]])).tolist() == [[1, 0], [0, 1]]
