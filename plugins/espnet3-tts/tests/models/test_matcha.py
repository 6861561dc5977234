"""Matcha-TTS as a whole."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_tts.encoders.config import FeedForwardTransformerConfig
from espnet3_tts.encoders.fft import FeedForwardTransformer
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.models.contract import Controls
from espnet3_tts.models.matcha.config import MatchaConfig, PrenetConfig, UNetConfig
from espnet3_tts.models.matcha.model import Matcha
from espnet3_tts.models.noise import utterance_noise
from espnet3_tts.models.predictor_config import PredictorConfig
from espnet3_tts.synthesis.config import SynthesizerConfig
from espnet3_tts.synthesis.synthesizer import Synthesizer
from toy_voice import RATE, Built

Statistics = namedtuple("Statistics", "mean std count")
TEXTS, SECONDS = ["hello", "what is it?", "no"], [0.4, 0.6, 0.3]
TONES = {1: 250.0, 2: 900.0, 3: 2000.0}
"""Hz of each token of the artificial language."""
TOKENS, FRAMES = ([1, 2, 3], [3, 1, 2]), ([12, 25, 9], [20, 8, 14])


@pytest.fixture
def make_matcha(frontend):
    blocks = FeedForwardTransformerConfig(
        output_size=16, linear_units=24, num_blocks=1, kernels=(3, 3), positions="rope", dropout=0.0
    )
    features = FeaturesConfig(n_fft=256, window=256, hop=64, n_mels=20, fmax=None)

    def make(stats=None, seed=0, **options):
        torch.manual_seed(seed)
        config = MatchaConfig(
            frontend=Built(Features, features, "sample_rate"),
            token_size=16,
            prenet=PrenetConfig(layers=2, dropout=0.0),
            encoder=Built(FeedForwardTransformer, blocks, "input_size"),
            duration=PredictorConfig(channels=16, dropout=0.0),
            unet=UNetConfig(channels=(16, 24), head_size=8, middle_blocks=1, dropout=0.0),
            **{"steps": 4, **options},
        )
        return Matcha(config, vocab_size=len(frontend), sample_rate=RATE, stats=stats, tokenizer=frontend)

    return make


def inputs(batch, *keys):
    return [batch[key] for key in (*keys, *(f"{key}_lengths" for key in keys))]


def test_the_published_size():
    """18.2 M parameters (Mehta et al. 2024, table 1), with the public configuration's 178 symbols.

    Summed up here from that configuration: what each of its layers holds.
    """
    model = Component(name="tts/matcha", slot=Slot("model")).build(vocab_size=178, sample_rate=22050)

    def conv(inputs, outputs, kernel):
        return inputs * outputs * kernel + outputs

    prenet = 3 * (conv(192, 192, 5) + 2 * 192) + conv(192, 192, 1)
    block = 4 * conv(192, 192, 1) + conv(192, 768, 3) + conv(768, 192, 3) + 4 * 192
    duration = conv(192, 256, 3) + conv(256, 256, 3) + 4 * 256 + conv(256, 1, 1)
    text = 178 * 192 + prenet + 6 * block + conv(192, 80, 1) + duration

    def residual(inputs):
        norms = 4 * 256
        return conv(1024, 256, 1) + conv(inputs, 256, 3) + conv(256, 256, 3) + norms + conv(inputs, 256, 1)

    attention = 3 * 256 * 128 + conv(128, 256, 1)
    transformer = attention + conv(256, 1024, 1) + 2 * 1024 + conv(1024, 256, 1) + 4 * 256
    same, twice = conv(256, 256, 3), conv(256, 256, 4)
    time = conv(160, 1024, 1) + conv(1024, 1024, 1)
    down = residual(160) + residual(256) + 2 * (transformer + same)
    middle = 2 * (residual(256) + transformer)
    up = 2 * (residual(512) + transformer) + twice + same
    unet = time + down + middle + up + same + 2 * 256 + conv(256, 80, 1)
    assert (text + unet) / 1e6 == pytest.approx(18.2, abs=0.05)
    assert sum(part.numel() for part in model.unet.parameters()) == unet
    found = sum(part.numel() for part in model.parameters())
    assert found == text + unet + 2 * 192  # the encoder's last layer norm
    assert found == pytest.approx(18.2e6, rel=0.005)


def test_losses_are_finite_and_reach_every_parameter(make_matcha, make_batch):
    model = make_matcha(speakers=["ann", "bob"])
    for layer in (model.text.prenet.out, model.text.mean):  # zero at first: nothing would pass
        torch.nn.init.normal_(layer.weight)
    output = model(**make_batch(TEXTS, SECONDS), speaker=["ann", "bob", "ann"])
    parts = sum(float(output[f"loss_{name}"]) for name in ("flow", "prior", "duration"))
    assert output["loss"].item() == pytest.approx(parts, rel=1e-5)
    assert output["weight"] == 3
    output["loss"].backward()
    without = [name for name, part in model.named_parameters() if part.grad is None or not part.grad.any()]
    assert without == []


def test_durations_are_learned_apart_from_the_encoder(make_matcha, make_batch):
    model = make_matcha()
    _, logs = model.text(*inputs(make_batch(TEXTS, SECONDS), "text"), None)
    logs.sum().backward()
    reached = {name.split(".")[0] for name, part in model.text.named_parameters() if part.grad is not None}
    assert reached == {"duration"}


def test_the_losses_by_hand(make_matcha, make_batch, monkeypatch):
    """A U-Net that says 0: what is left is the target. Computed utterance by utterance with NumPy."""
    model = make_matcha(sigma_min=0.1).eval()
    torch.nn.init.normal_(model.text.mean.weight)
    batch = make_batch(TEXTS, SECONDS)
    seen = {}

    def silent(values, lengths, time):
        seen.update(values=values, time=time)
        return torch.zeros_like(values[..., :20])

    monkeypatch.setattr(model.unet, "forward", silent)
    output = model(**batch)
    acoustic = model.features(batch["speech"], batch["speech_lengths"])
    durations, _ = model.align(*batch_of(batch))
    means, logs = (part.detach().numpy() for part in model.text(*inputs(batch, "text"), None))
    flow, prior, duration = [], [], []
    for row, frames in enumerate(acoustic.lengths.tolist()):
        tokens = int(batch["text_lengths"][row])
        data = acoustic.mel[row, :frames].numpy()  # statistics are mean 0 and deviation 1
        noise = utterance_noise(acoustic.lengths[row : row + 1], 20, acoustic.mel, 0)[0].numpy()
        time, counts = float(seen["time"][row]), durations[row, :tokens].numpy()
        guide = np.repeat(means[row, :tokens], counts, axis=0)
        place = np.concatenate([(1 - 0.9 * time) * noise + time * data, guide], 1)
        np.testing.assert_allclose(seen["values"][row, :frames].detach(), place, atol=1e-4)
        flow.append(np.mean((data - 0.9 * noise) ** 2))
        prior.append(np.mean((data - guide) ** 2 / 2 + np.log(2 * np.pi) / 2))
        duration.append(np.mean((logs[row, :tokens] - np.log(counts)) ** 2))
    for name, values in (("flow", flow), ("prior", prior), ("duration", duration)):
        assert float(output[f"loss_{name}"]) == pytest.approx(np.mean(values), rel=1e-4), name


def batch_of(batch):
    return [batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")]


def test_chance_in_training_only(make_matcha, make_batch):
    model, batch = make_matcha(), make_batch(TEXTS, SECONDS)

    def loss(seed):
        torch.manual_seed(seed)
        return float(model(**batch)["loss_flow"])

    assert loss(1) == loss(1) != loss(2)
    model.eval()
    assert loss(1) == loss(2)


def sentences():
    """Two sentences of steady tones, one for each token."""
    time = [torch.arange(64 * sum(frames)) / RATE for frames in FRAMES]
    rows = []
    for tokens, frames, times in zip(TOKENS, FRAMES, time, strict=True):
        hertz = torch.tensor([TONES[token] for token in tokens])
        pitch = hertz.repeat_interleave(64 * torch.tensor(frames))
        rows.append(0.3 * torch.sin(2 * torch.pi * pitch * times))
    return {
        "speech": torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
        "speech_lengths": torch.tensor(list(map(len, rows))),
        "text": torch.tensor(TOKENS),
        "text_lengths": torch.tensor([3, 3]),
    }


def test_it_learns_two_sentences_and_where_their_tokens_are(make_matcha):
    batch = sentences()
    found = make_matcha().collect_feats(batch["speech"], batch["speech_lengths"])
    frames = torch.cat([row[:n] for row, n in zip(found["mel"], found["mel_lengths"], strict=True)])
    model = make_matcha({"mel": Statistics(frames.mean(0).numpy(), frames.std(0).numpy(), len(frames))})
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(80):
        output = model(**batch)
        optimizer.zero_grad()
        output["loss"].backward()
        optimizer.step()
        losses.append({name: float(value.detach()) for name, value in output.items()})
    first, last = ({name: np.mean([row[name] for row in part]) for name in losses[0]}
                   for part in (losses[:5], losses[-20:]))  # fmt: skip
    assert last["loss_flow"] < 0.7 * first["loss_flow"]
    assert last["loss_duration"] < 0.05 * first["loss_duration"]
    assert last["loss_prior"] < 0.95 * first["loss_prior"]
    ends = torch.tensor(FRAMES).cumsum(1)
    aligned, soft = model.align(*batch_of(batch))
    # A window spans four hops, so that where one tone ends is known to two frames.
    assert (aligned.cumsum(1) - ends).abs().max() <= 2
    assert soft.log_probs.shape == (2, 46, 3)
    said = model.eval().speak(batch["text"], batch["text_lengths"])
    assert (said.durations.cumsum(1) - ends).abs().max() <= 5
    means = model.mel_scale.inverse(model.text(*inputs(batch, "text"), None)[0])
    for row, tokens in enumerate(TOKENS):
        middles = ends[row] - torch.tensor(FRAMES[row]) // 2
        assert means[row].argmax(1).tolist() == found["mel"][row, middles].argmax(1).tolist(), tokens


@pytest.fixture
def speaking(make_matcha):
    """A model whose tokens last some frames, each another number of them."""
    model = make_matcha().eval()
    with torch.no_grad():
        model.text.duration.out.bias.fill_(1.5)
        torch.nn.init.normal_(model.text.mean.weight)
    return model


def test_controls(speaking, make_batch):
    text = inputs(make_batch(["hello you there"], [0.4]), "text")

    def said(**controls):
        return speaking.speak(*text, controls=Controls(**controls))

    plain = said()
    assert torch.equal(plain.mel, speaking.speak(*text).mel)
    assert torch.equal(plain.mel, said(steps=4, temperature=0.667, seed=0).mel)
    for other in (said(seed=1), said(temperature=0.2), said(steps=5)):
        assert torch.equal(other.durations, plain.durations)
        assert not torch.allclose(other.mel, plain.mel, atol=1e-3)
    assert torch.equal(said(temperature=0.0).mel, said(temperature=0.0, seed=3).mel)
    assert said(speed=0.5).lengths.item() == pytest.approx(2 * plain.lengths.item(), abs=1)
    with pytest.raises(UserError, match=r"pitch is 1\.2, and tts/matcha has no control of it") as caught:
        said(pitch=1.2)
    assert "speed, steps, temperature" in caught.value.hint


def test_a_fast_single_token_is_still_heard(speaking):
    said = speaking.speak(torch.tensor([[1]]), torch.tensor([1]), controls=Controls(speed=1000.0))
    assert said.lengths.tolist() == said.durations[0].tolist() == [1]


def test_the_synthesizer_passes_controls_on(speaking, frontend, griffin_lim):
    config = SynthesizerConfig(vocoder=griffin_lim, speed=1.5, seed=7, steps=2, temperature=0.5)
    synthesizer = Synthesizer(config, model=speaking, tokenizer=frontend)
    assert synthesizer.controls == Controls(speed=1.5, seed=7, steps=2, temperature=0.5)
    ids = [torch.tensor(frontend.encode(text)) for text in ("One two.", "Three. One two.")]
    batch = {
        "text": torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=-1),
        "text_lengths": torch.tensor(list(map(len, ids))),
    }
    first, second = (result["audio"].samples for result in synthesizer.infer(batch))
    np.testing.assert_allclose(second[-len(first) :], first, atol=1e-4 * np.abs(first).max())


def test_pictures_of_it(speaking, make_batch, tmp_path):
    pytest.importorskip("matplotlib")
    from espnet3_tts.callbacks.config import PicturesConfig
    from espnet3_tts.callbacks.pictures import Pictures

    pictures = Pictures(PicturesConfig(audio=False), experiment=tmp_path)
    pictures.write(speaking, make_batch(TEXTS, SECONDS), 1, 4, [])
    assert (tmp_path / "pictures/epoch0005_u1.png").stat().st_size > 1000


def test_other_models_have_no_steps(make_model, make_batch):
    text = inputs(make_batch(["hello"], [0.4]), "text")
    with pytest.raises(UserError, match="steps is 3, and tts/fastspeech2 has no control of it"):
        make_model().eval().speak(*text, controls=Controls(steps=3))


def test_speakers(make_matcha, make_batch):
    model, batch = make_matcha(speakers=["ann", "bob"]).eval(), make_batch(TEXTS, SECONDS)
    text = inputs(batch, "text")
    ann, both = (model.speak(*text, speaker=names) for names in (["ann"] * 3, ["ann", "bob", "ann"]))
    frames = ann.lengths.tolist()
    assert torch.allclose(both.mel[0, : frames[0]], ann.mel[0, : frames[0]], atol=1e-4)
    assert not torch.allclose(both.mel[1, :4], ann.mel[1, :4], atol=1e-3)
    vectors = model.speakers.vectors(torch.tensor([0, 1]))
    zeros, lengths = torch.zeros(2, 5, 20), torch.tensor([5, 5])
    first, second = model._velocity(zeros, zeros, lengths, torch.zeros(2), vectors)
    assert not torch.allclose(first, second, atol=1e-3)  # the U-Net knows the speaker, too
    with pytest.raises(UserError, match="2 speakers, and none is chosen"):
        model(**batch)


def test_what_cannot_be_is_refused(make_matcha, make_batch):
    batch = make_batch(["hi", "much too long a text for it"], [0.4, 0.1])
    with pytest.raises(UserError, match="utterance 'u1': 12 frames of audio for 29 tokens of text"):
        make_matcha()(**batch)
    with pytest.raises(UserError, match="no statistics 'mel' of 20 dimensions"):
        make_matcha(stats={})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: UNetConfig(channels=(256, 100)), r"channels \[256, 100\] are multiples of the 8 groups"),
        (lambda: UNetConfig(channels=()), r"channels \[\] are"),
        (lambda: PrenetConfig(kernel=4), "kernel 4 is odd"),
        (lambda: MatchaConfig(temperature=-1.0), "temperature -1"),
        (lambda: MatchaConfig(speakers=["ann", "ann"]), "a name stands twice"),
        (lambda: SynthesizerConfig(temperature=3.0), "temperature is 3; it goes from 0 to 2"),
        (lambda: SynthesizerConfig(steps=0), "steps must be at least 1"),
    ],
)  # fmt: skip
def test_odd_options_are_refused(make, message):
    with pytest.raises(UserError, match=message):
        make()
