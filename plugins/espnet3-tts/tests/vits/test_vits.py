"""VITS as a whole: published sizes, turns, pieces, alignment, speech."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_core.testing import ModelConformance
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.models.contract import Controls
from espnet3_tts.models.hifigan.pieces import piece_starts, pieces
from espnet3_tts.models.vits.model import Vits
from espnet3_tts.synthesis.config import SynthesizerConfig
from espnet3_tts.synthesis.synthesizer import Synthesizer
from torch.distributions import Normal
from toy_vits import as_node, make_vits, shaken
from toy_voice import Built

TEXTS, SECONDS = ["hello", "what is it?", "no"], [0.4, 0.6, 0.3]
HOP, SEGMENT = 64, 8


@pytest.fixture
def vits(frontend) -> Vits:
    return shaken(make_vits(len(frontend), frontend))


def fields(batch: dict[str, Any], rows: slice = slice(None)) -> dict[str, Any]:
    chosen = {key: value[rows] for key, value in batch.items()}
    chosen["speech"] = chosen["speech"][:, : chosen["speech_lengths"].max()]
    chosen["text"] = chosen["text"][:, : chosen["text_lengths"].max()]
    return chosen


def count(module: Any) -> int:
    """Weights and biases, norms of weights not counted."""
    return sum(
        part.numel()
        for name, part in module.named_parameters()
        if not name.endswith("parametrizations.weight.original0")
    )


def test_the_parts_have_the_published_sizes():
    """LJ Speech configuration of Kim et al. 2021 (appendix A.2 and the authors' ljs_base.json: 178 symbols).

    Each part is written out as its layers' weights and biases. The authors' implementation has 36.3 M
    parameters, its norms of weights included, one bias of the decoder's last layer fewer.
    """
    with torch.device("meta"):
        model = Component(name="tts/vits", slot=Slot("model")).build(
            vocab_size=178, sample_rate=22050, tokenizer=None
        )
    size, voice = 192, model.generator

    def linear(a: int, b: int, kernel: int = 1) -> int:
        return a * b * kernel + b

    def wavenet(layers: int) -> int:
        gated = layers * linear(size, 2 * size, 5)
        return gated + (layers - 1) * linear(size, 2 * size) + linear(size, size)

    convs = 3 * (linear(1, size, 3) + linear(size, size) + 2 * 2 * size)
    spline_flow = 2 * 2 + 4 * (linear(1, size) + convs + linear(size, 29))
    block = 4 * linear(size, size) + 2 * 9 * 96 + linear(size, 768, 3) + linear(768, size, 3) + 4 * size
    wanted = {
        "embedding": 178 * size,
        "encoder": 6 * block,
        "prior": linear(size, 2 * size),
        "posterior": linear(513, size) + wavenet(16) + linear(size, 2 * size),
        "flow": 4 * (linear(96, size) + wavenet(4) + linear(size, 96)),
        "duration": 3 * linear(size, size) + linear(1, size) + 2 * convs + 2 * spline_flow,
        "decoder": 13_926_017 + (size - 80) * 512 * 7,  # HiFi-GAN V1, of 192 channels for 80 mel bands
    }  # fmt: skip
    assert {name: count(getattr(voice, name)) for name in wanted} == wanted
    assert round(sum(wanted.values()) / 1e6, 1) == round(count(voice) / 1e6, 1) == 36.3


def test_turns_reach_their_own_side_only(vits, make_batch):
    batch, shared = make_batch(TEXTS, SECONDS), {}
    vits(**batch, turn="discriminator", shared=shared)["loss"].backward()
    assert all(part.grad is None for part in vits.generator.parameters())
    assert all(part.grad is not None for part in vits.discriminator.parameters())
    copy = shared["copy"]
    output = vits(**batch, turn="generator", shared=shared)
    assert shared["copy"] is copy
    names = ("mel", "features", "adversarial", "divergence", "duration")
    assert output["loss"].item() == pytest.approx(sum(float(output[name]) for name in names), rel=1e-5)
    output["loss"].backward()
    without = [name for name, part in vits.generator.named_parameters() if part.grad is None]
    assert without == []
    with pytest.raises(UserError, match="tts/vits has no turn 'both'"):
        vits(**batch, turn="both")


def test_losses_are_those_of_the_parts(vits, make_batch):
    vits.eval()
    batch = make_batch(TEXTS, SECONDS)
    numbers = {name: value.item() for name, value in vits(**batch).items()}
    learned, _ = vits._learn(
        *(batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")), None
    )
    assert numbers["divergence"] == pytest.approx(learned.divergence.mean().item())
    assert numbers["duration"] == pytest.approx(learned.duration.mean().item())
    found = vits._copies(
        *(batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")), None, ()
    )
    apart = (vits.mel_of(found["copy"]) - vits.mel_of(found["real"])).abs().mean()
    assert numbers["mel"] == pytest.approx(45 * apart.item(), rel=1e-4)


def test_pieces_of_latent_and_recording_are_of_the_same_place(vits, make_batch):
    """The recording's is found by its samples; the same frames of the latent give the copy."""
    batch = make_batch(TEXTS, SECONDS)
    arguments = [batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")]
    places = set()
    for seed in range(4):
        torch.manual_seed(seed)
        found = vits._copies(*arguments, None, ())
        torch.manual_seed(seed)
        learned, frames = vits._learn(*arguments, None)
        for row in range(3):
            windows = batch["speech"][row].unfold(0, SEGMENT * HOP, 1)
            (start,) = (windows == found["real"][row]).all(1).nonzero().flatten().tolist()
            assert start % HOP == 0
            frame = start // HOP
            assert frame + SEGMENT <= frames[row]
            latent = learned.latent[row : row + 1, frame : frame + SEGMENT]
            assert torch.allclose(vits.generator.decoder(latent)[0], found["copy"][row], atol=1e-5)
            places.add((row, frame))
    assert len(places) > 6


def test_pieces_are_cut_alike_at_any_rate():
    values = torch.arange(1.0, 25).view(2, 12)
    lengths = torch.tensor([12, 3])
    starts = piece_starts(lengths, 4, random=False)
    assert starts.tolist() == [4, 0]
    assert pieces(values, lengths, starts, 4).tolist() == [[5, 6, 7, 8], [13, 14, 15, 0]]
    wide = pieces(torch.stack([values, -values], 2), lengths, starts, 4)
    assert wide[..., 1].tolist() == [[-5, -6, -7, -8], [-13, -14, -15, 0]]
    torch.manual_seed(0)
    drawn = torch.stack([piece_starts(lengths, 4, random=True) for _ in range(200)])
    assert set(drawn[:, 0].tolist()) == set(range(9))
    assert drawn[:, 1].tolist() == [0] * 200


def test_the_alignment_is_the_most_probable_of_all(vits, make_batch):
    """Every way of giving 9 frames to the tokens in order, each frame with its normal density."""
    batch = make_batch(["hi"], [9 * HOP / 8000])
    with torch.no_grad():
        learned, frames = vits.eval()._learn(
            *(batch[key] for key in ("speech", "speech_lengths", "text", "text_lengths")), None
        )
        prior = vits.generator.read(batch["text"], batch["text_lengths"])
        moved = vits.generator.flow(learned.latent.transpose(1, 2), torch.ones(1, 1, 9)).transpose(1, 2)
    densities = Normal(prior.mean[0], prior.log_std[0].exp()).log_prob(moved[0, :, None]).sum(-1).numpy()
    tokens = int(batch["text_lengths"])
    assert (tokens, int(frames)) == (4, 9)
    scores = {}
    for cuts in itertools.combinations(range(1, 9), tokens - 1):
        durations = np.diff([0, *cuts, 9])
        scores[tuple(durations)] = densities[np.arange(9), np.repeat(np.arange(tokens), durations)].sum()
    assert tuple(learned.durations[0].tolist()) == max(scores, key=scores.__getitem__)


@pytest.mark.parametrize("kind", ["stochastic", "deterministic"])
def test_an_utterance_sounds_the_same_in_any_batch(frontend, make_batch, kind):
    vits = shaken(make_vits(len(frontend), duration={"kind": kind}), 0.1).eval()
    batch = make_batch(TEXTS, SECONDS)
    together = vits.speak(batch["text"], batch["text_lengths"])
    assert together.mel is None
    assert together.durations.sum(1).tolist() == together.lengths.tolist()
    for row in range(3):
        one = fields(batch, slice(row, row + 1))
        alone = vits.speak(one["text"], one["text_lengths"])
        samples = int(alone.lengths) * HOP
        assert together.durations[row, : one["text"].shape[1]].tolist() == alone.durations[0].tolist()
        assert alone.audio.shape == (1, samples)
        assert torch.allclose(together.audio[row, :samples], alone.audio[0], atol=1e-5)
        assert together.audio[row, samples:].abs().sum() == 0
        assert alone.audio.abs().max() > 0


def test_seeds_speed_and_no_noise(frontend, make_batch):
    vits = shaken(make_vits(len(frontend)), 0.1).eval()
    batch = make_batch(["what a fine day it is"], [0.4])

    def say(model: Vits = vits, **controls: Any) -> Any:
        return model.speak(batch["text"], batch["text_lengths"], controls=Controls(**controls))

    torch.manual_seed(1)
    plain = say()
    torch.manual_seed(2)
    assert torch.equal(say().audio, plain.audio)
    assert say(seed=3).durations.tolist() != plain.durations.tolist()
    assert plain.durations.min() >= 1
    fast = say(speed=2.0)
    assert fast.lengths.item() == pytest.approx(plain.lengths.item() / 2, abs=1)
    still = make_vits(len(frontend), noise=0.0, duration={"noise": 0.0}).eval()
    assert torch.equal(say(still, seed=1).audio, say(still, seed=2).audio)
    quiet = say(temperature=0.0)
    assert quiet.durations.tolist() == plain.durations.tolist()
    assert not torch.allclose(quiet.audio, plain.audio, atol=1e-3)
    with pytest.raises(UserError, match="pitch is 2, and tts/vits has no control of it"):
        say(pitch=2.0)


def test_speakers_sound_different_and_learn(frontend, make_batch):
    vits = shaken(make_vits(len(frontend), speakers=["ann", "bob"]))
    batch = make_batch(TEXTS, SECONDS)
    vits(**batch, speaker=["ann", "bob", "ann"])["loss"].backward()
    without = [
        name for name, part in vits.generator.named_parameters() if part.grad is None or not part.grad.any()
    ]
    assert without == []
    vits.eval()
    one = fields(batch, slice(0, 1))
    ann, bob = (vits.speak(one["text"], one["text_lengths"], speaker=[who]) for who in ("ann", "bob"))
    assert ann.audio.shape != bob.audio.shape or not torch.allclose(ann.audio, bob.audio, atol=1e-3)
    with pytest.raises(UserError, match="unknown speaker 'bop'"):
        vits(**one, speaker=["bop"])
    with pytest.raises(UserError, match="2 speakers, and none is chosen"):
        vits.speak(one["text"], one["text_lengths"])


def test_more_tokens_than_frames_are_refused_with_the_utterance(vits, make_batch):
    batch = make_batch(["a", "what is it?"], [0.4, 0.05])
    with pytest.raises(UserError, match="utterance 'u1': 6 frames of audio for 13 tokens of text"):
        vits(**batch)


def test_the_decoder_makes_a_hop_of_a_frame(frontend):
    other = Built(
        Features, FeaturesConfig(n_fft=256, window=256, hop=128, n_mels=20, fmax=None), "sample_rate"
    )
    model = make_vits(len(frontend))
    model.config.frontend = other
    with pytest.raises(UserError, match="makes 64 samples of a frame, and frontend.hop is 128"):
        Vits(model.config, vocab_size=5, sample_rate=8000)


def test_it_is_given_no_vocoder(vits, frontend, griffin_lim, make_batch):
    batch = make_batch(["hello. you"], [0.4])
    (result,) = Synthesizer(SynthesizerConfig(seed=4), model=vits, tokenizer=frontend).infer(batch)
    assert len(result["audio"].samples) == sum(result["durations"]) * HOP + 0.3 * 8000
    assert vits.infer(batch)[0]["durations"] != result["durations"]
    with pytest.raises(UserError, match="Vits makes audio itself, and a vocoder is chosen"):
        Synthesizer(SynthesizerConfig(vocoder=griffin_lim), model=vits, tokenizer=frontend)


class TestConformance(ModelConformance):
    name = "tts/vits"
    config = as_node()
    variants = ({"duration": {"kind": "deterministic", "channels": 8, "dropout": 0.0}},)
    turns = ("discriminator", "generator")

    def outputs(self, model: Any, batch: Any) -> list[Any]:
        """The kit's letters are no text frontend: the model is asked directly."""
        said = model.speak(batch["text"], torch.as_tensor(batch["text_lengths"]))
        return [
            {"durations": durations[:tokens], "audio": audio[: frames * HOP]}
            for durations, tokens, audio, frames in zip(
                said.durations, batch["text_lengths"].tolist(), said.audio, said.lengths.tolist(), strict=True
            )
        ]
