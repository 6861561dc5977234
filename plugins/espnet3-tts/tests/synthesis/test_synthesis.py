from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_tts.aligners.search import monotonic_alignment
from espnet3_tts.metrics.alignment import AlignmentOrder
from espnet3_tts.metrics.config import AlignmentOrderConfig
from espnet3_tts.synthesis.aligning import Alignments
from espnet3_tts.synthesis.config import AlignmentsConfig, CopySynthesisConfig, SynthesizerConfig
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


class Aligned:
    """A model whose attention is given: ``(frames, tokens)`` probabilities of one utterance."""

    def __init__(self, *rows):
        self.log_probs = torch.tensor([rows]).log()

    def eval(self):
        return self

    def align(self, speech, speech_lengths, text, text_lengths):
        return monotonic_alignment(self.log_probs, text_lengths, speech_lengths // HOP), self


@pytest.mark.parametrize(
    ("rows", "durations", "ordered", "agreeing", "unseen"),
    [
        ([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)], [1, 1, 1], True, 3, 0),
        # The attention goes back in the third frame, but all alignments together do not.
        ([(0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.4, 0.35, 0.25), (0.1, 0.1, 0.8)], [1, 2, 1], True, 3, 0),
        # Nothing tells where the second token is: in each frame another one is more probable.
        ([(0.9, 0.05, 0.05), *[(0.474, 0.05, 0.476)] * 4, (0.05, 0.05, 0.9)], [1, 1, 4], False, 5, 1),
    ],
)
def test_alignments_tell_what_was_learnt(frontend, rows, durations, ordered, agreeing, unseen):
    text = torch.tensor([[5, 6, 7]])
    batch = {"text": text, "text_lengths": torch.tensor([3]), "speech": torch.zeros(1, len(rows) * HOP)}
    batch["speech_lengths"] = torch.tensor([len(rows) * HOP])
    (found,) = Alignments(AlignmentsConfig(), model=Aligned(*rows), tokenizer=frontend).infer(batch)
    assert found["durations"] == durations
    assert found["tokens"] == [frontend.tokens[index] for index in (5, 6, 7)]
    assert (found["ordered"], found["agreeing"], found["unseen"]) == (ordered, agreeing, unseen)
    metric = AlignmentOrder(AlignmentOrderConfig())
    metric.update(
        ["u", "v"], **{name: [value, value] for name, value in found.items() if name != "durations"}
    )
    scores = metric.compute()
    assert scores["ordered"] == 100.0 * ordered
    assert scores["agreement"] == pytest.approx(100 * agreeing / len(rows))
    assert scores["unseen"] == pytest.approx(100 * unseen / 3)


def test_alignments_of_a_model(make_model, make_batch, frontend):
    model, batch = make_model(), make_batch(["hello you", "no"], [0.5, 0.3])
    search = Alignments(AlignmentsConfig(), model=model, tokenizer=frontend)
    together = search.infer(batch)
    assert [sum(row["durations"]) for row in together] == [row["frames"] for row in together]
    alone = search.infer(
        {key: value[1:2] for key, value in batch.items() if key != "speech"}
        | {
            "speech": batch["speech"][1:2, : batch["speech_lengths"][1]],
            "text": batch["text"][1:2, : batch["text_lengths"][1]],
        }
    )
    assert alone == together[1:]
    with pytest.raises(UserError, match="no recordings to align"):
        search.infer({})
    with pytest.raises(UserError, match="the model has no aligner"):
        Alignments(AlignmentsConfig(), model=torch.nn.Linear(1, 1), tokenizer=frontend)
