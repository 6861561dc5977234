from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.synthesis.config import CopySynthesisConfig, SynthesizerConfig
from espnet3_tts.synthesis.copying import CopySynthesis
from espnet3_tts.synthesis.pieces import pieces
from espnet3_tts.synthesis.synthesizer import Synthesizer

RATE, HOP = 8000, 64


def cut(frontend, text, most):
    tokens = frontend.symbols(text)
    return [
        "".join(" " if token == "<space>" else token for token in tokens[piece.start : piece.end])
        for piece in pieces(tokens, most)
    ]


def test_texts_are_cut_at_sentences(frontend):
    assert cut(frontend, "One. Two? Three! Four", 100) == ["one.", "two?", "three!", "four"]
    assert cut(frontend, "One, two; three.", 100) == ["one, two; three."]


def test_long_sentences_are_cut_where_it_is_heard_least(frontend):
    assert cut(frontend, "aaaa bbbb, cccc dddd eeee.", 14) == ["aaaa bbbb,", "cccc dddd", "eeee."]
    assert cut(frontend, "aaaaaaaaaaaa.", 5) == ["aaaaa", "aaaaa", "aa."]


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_and_no_piece_is_too_long(seed, frontend):
    rng = np.random.default_rng(seed)
    text = "".join(rng.choice(list("abcdefg      ,,;.?!"), 300))
    tokens = frontend.symbols(text)
    found = pieces(tokens, 20)
    assert all(0 < piece.end - piece.start <= 20 for piece in found)
    said = [
        token for piece in found for token in tokens[piece.start : piece.end] if token not in "<space>.?!"
    ]
    assert said == [token for token in tokens if token not in "<space>.?!"]


@pytest.fixture
def speaker(make_model, frontend, griffin_lim):
    model = make_model()
    with torch.no_grad():
        model.duration.out.bias.fill_(1.0)

    def make(**options) -> Synthesizer:
        config = SynthesizerConfig(vocoder=griffin_lim, **options)
        return Synthesizer(config, model=model, tokenizer=frontend)

    return make


def batch_of(frontend, *texts):
    rows = [torch.tensor(frontend.encode(text)) for text in texts]
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "text": pad(rows, batch_first=True, padding_value=-1),
        "text_lengths": torch.tensor(list(map(len, rows))),
    }


def test_sentences_are_joined_with_pauses(speaker, frontend):
    synthesizer = speaker(sentence_pause=0.25)
    (result,) = synthesizer.infer(batch_of(frontend, "Hi there. You! "))
    audio = result["audio"]
    assert audio.sample_rate == RATE
    frames = result["durations"]
    assert len(frames) == len(result["tokens"])
    assert len(audio.samples) == sum(frames) * HOP + 0.25 * RATE
    first = sum(frames[: result["tokens"].index(".") + 2]) * HOP
    assert np.abs(audio.samples[first : first + RATE // 4]).max() == 0
    assert np.abs(audio.samples[:first]).max() > 0
    assert result["rtf"] > 0


def test_a_sentence_sounds_the_same_wherever_it_is_said(speaker, frontend):
    synthesizer = speaker(batch_tokens=40)
    texts = ["Yes.", "A longer sentence, this one. Yes.", "No?"]
    together = [result["audio"].samples for result in synthesizer.infer(batch_of(frontend, *texts))]
    alone = [synthesizer.infer(batch_of(frontend, text))[0]["audio"].samples for text in texts]
    for many, one in zip(together, alone, strict=True):
        np.testing.assert_allclose(many, one, atol=1e-4 * np.abs(one).max())
    np.testing.assert_allclose(together[1][-len(alone[0]) :], alone[0], atol=1e-4 * np.abs(alone[0]).max())


def test_ten_thousand_characters(speaker, frontend):
    text = "Well, it is what it is, and that is that. " * 240
    assert len(text) > 10_000
    (result,) = speaker(speed=4.0).infer(batch_of(frontend, text))
    assert result["tokens"].count(".") == 240
    assert result["audio"].seconds > 239 * 0.3


def test_speed(speaker, frontend):
    batch = batch_of(frontend, "What a fine day it is")
    plain, fast = (speaker(speed=speed).infer(batch)[0]["audio"].seconds for speed in (1.0, 2.0))
    assert fast == pytest.approx(plain / 2, abs=2 * HOP / RATE)


def test_what_cannot_be_is_refused(speaker, frontend):
    with pytest.raises(UserError, match="no text to speak"):
        speaker().infer({"speech": torch.zeros(1, 100)})
    with pytest.raises(UserError, match=r"pitch is 9; it goes from 0\.25 to 4"):
        SynthesizerConfig(pitch=9)
    with pytest.raises(UserError, match="pauses are seconds"):
        SynthesizerConfig(sentence_pause=-1)


def test_copy_synthesis_says_what_was_recorded(make_model, make_batch, griffin_lim):
    model = make_model()
    copier = CopySynthesis(CopySynthesisConfig(vocoder=griffin_lim), model=model)
    batch = make_batch(["a", "b"], [0.5, 0.3])
    first, second = copier.infer(batch)
    assert len(first["audio"].samples) == 62 * HOP
    assert len(second["audio"].samples) == 37 * HOP
    wanted = model.features(batch["speech"], batch["speech_lengths"]).mel[0, 4:-4]
    made = torch.from_numpy(first["audio"].samples)[None]
    found = model.features(made, torch.tensor([made.shape[1]])).mel[0, 4:-4]
    assert torch.corrcoef(torch.stack([wanted.flatten(), found.flatten()]))[0, 1] > 0.9
    with pytest.raises(UserError, match="no recordings to copy"):
        copier.infer({"text": batch["text"]})
