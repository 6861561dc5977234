from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from espnet3_asr.searches.config import JointBeamConfig
from espnet3_asr.searches.joint_beam import JointBeam
from espnet3_core.errors import UserError


class Trigram:
    """A language model of the last two tokens that checks whether its state follows the hypotheses."""

    def __init__(self, table):
        self.table = table

    def score(self, tokens, state):
        assert len(tokens) == len(state)
        state = torch.cat([state, tokens[:, None]], 1)
        before = state[:, -2] if state.shape[1] > 1 else state[:, -1]
        return (self.table[state[:, -1]] + 0.5 * self.table[before].flip(1)).log_softmax(-1), state


class ToyTokens:
    def __init__(self, size):
        self.tokens = ["<blank>", *"abcdefgh"[: size - 2], "<sos/eos>"]
        self.eos_id = size - 1

    def __len__(self):
        return len(self.tokens)

    def decode(self, ids):
        return "".join(self.tokens[i] for i in ids)


class ToyModel(torch.nn.Module):
    """Only a decoder (a language model here) and the CTC output that the utterances bring."""

    def __init__(self):
        super().__init__()
        self.anchor = torch.nn.Parameter(torch.zeros(1))


def make(size, table, config):
    model = ToyModel()
    model.decoder = _decoder(table)
    return JointBeam(JointBeamConfig(**config), model=model, tokenizer=ToyTokens(size))


def _decoder(table):
    scorer = Trigram(table)

    class Decoder(torch.nn.Module):
        def start(self, memory, lengths):
            return torch.zeros(len(memory), 0, dtype=torch.long)

        def step(self, tokens, state):
            return scorer.score(tokens, state)

        def reorder(self, state, index):
            return state[index]

    return Decoder()


def enumerate_texts(ctc, table, size, config, most, fewest=0):
    """Score of every text of at most ``most`` tokens, from the definition."""
    found = {}
    weight = config.get("ctc_weight", 0.3)
    scorer = Trigram(table)
    for length in range(fewest, most + 1):
        texts = list(itertools.product(range(1, size - 1), repeat=length))
        path = torch.tensor([(size - 1, *text, size - 1) for text in texts])
        scores = torch.full((len(texts),), config.get("length_bonus", 0.0) * length)
        state = torch.zeros(len(texts), 0, dtype=torch.long)
        for step in range(length + 1):
            log_probs, state = scorer.score(path[:, step], state)
            scores += (1 - weight) * log_probs.gather(1, path[:, step + 1 : step + 2]).squeeze(1)
        for text, score in zip(texts, scores.tolist(), strict=True):
            total = score + weight * ctc.get(text, -np.inf) if weight > 0 else score
            if total > -np.inf:
                found[text] = total
    return found


def compare(found, expected, count):
    ranked = sorted(expected.items(), key=lambda entry: -entry[1])[:count]
    assert [tuple(ids) for ids, _ in found] == [text for text, _ in ranked]
    assert [score for _, score in found] == pytest.approx([score for _, score in ranked], abs=1e-4)


# What an unlimited beam is proven for in test_search_proofs.py leaves out: limits by frames, and a pre-beam.
OPTIONS = [
    {"length_bonus": -0.5, "min_length_ratio": 0.5},
    {"max_length_ratio": 0.5},
    {"pre_beam": 1, "ctc_weight": 0.5},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("lengths", [[4], [4, 1, 3, 0]])
def test_an_unlimited_beam_is_exhaustive(options, lengths, exhaustive):
    torch.manual_seed(len(lengths))
    size = 4
    log_probs = (torch.randn(len(lengths), 4, size) * 1.5).log_softmax(-1)
    table = torch.randn(size, size).log_softmax(-1)
    count = 12
    search = make(size, table, {"beam_size": 300, "nbest": count, "end_detection": False, **options})
    found = search.search(exhaustive.utterances(log_probs, lengths))
    for row, frames in enumerate(lengths):
        ratio = options.get("max_length_ratio", 0)
        most = frames if ratio == 0 else int(-ratio) if ratio < 0 else max(1, int(ratio * frames))
        most = min(most, frames) if options.get("ctc_weight", 0.3) > 0 or frames == 0 else most
        fewest = int(options.get("min_length_ratio", 0) * frames)
        ctc = exhaustive.ctc(log_probs[row, :frames])
        expected = enumerate_texts(ctc, table, size, options, most, fewest)
        compare(found[row], expected, count)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_narrow_beam_agrees_with_a_loop_over_hypotheses(width, exhaustive):
    torch.manual_seed(width)
    size, frames = 5, 6
    log_probs = (torch.randn(1, frames, size) * 1.5).log_softmax(-1)
    table = torch.randn(size, size).log_softmax(-1)
    ctc = exhaustive.ctc(log_probs[0, :, :size])
    search = make(size, table, {"beam_size": width, "nbest": 2, "end_detection": False, "pre_beam": None})
    (found,) = search.search(exhaustive.utterances(log_probs, [frames]))
    expected = textbook(ctc, table, size, frames, width)
    assert [tuple(ids) for ids, _ in found] == [text for text, _ in expected[:2]]
    assert [score for _, score in found] == pytest.approx([s for _, s in expected[:2]], abs=1e-4)


def textbook(ctc, table, size, frames, width):
    """Beam search with lists, from the definition of the scores."""
    scorer, running, ended = Trigram(table), [((), 0.0)], []
    for step in range(frames + 1):
        grown = []
        for text, attention in running:
            state = torch.tensor([[size - 1, *text][:-1]], dtype=torch.long)
            log_probs, _ = scorer.score(torch.tensor([(size - 1, *text)[-1]]), state)
            for token in range(1, size) if step < frames else [size - 1]:
                total = attention + 0.7 * float(log_probs[0, token])
                if token == size - 1:
                    grown.append(((text, True), total, total + 0.3 * ctc.get(text, -np.inf)))
                    continue
                longer = (*text, token)
                matching = [s for other, s in ctc.items() if other[: len(longer)] == longer]
                prefix = np.logaddexp.reduce(matching or [-np.inf])
                grown.append(((longer, False), total, total + 0.3 * prefix))
        best = sorted(grown, key=lambda entry: -entry[2])[:width]
        ended += [(text, score) for (text, end), _, score in best if end and score > -np.inf]
        running = [(text, partial) for (text, end), partial, score in best if not end and score > -np.inf]
    return sorted(ended, key=lambda entry: -entry[1])


def test_the_shortcut_to_stop_changes_nothing(exhaustive):
    """With n-best 1 the search stops early; the best of a search that cannot must be the same."""
    torch.manual_seed(5)
    size, lengths = 8, [9, 6, 8, 3, 9, 1]
    log_probs = (torch.randn(6, 9, size) * 2).log_softmax(-1)
    table = torch.randn(size, size).log_softmax(-1)
    short = make(size, table, {"beam_size": 5}).search(exhaustive.utterances(log_probs, lengths))
    options = {"beam_size": 5, "nbest": 50, "end_detection": False}
    full = make(size, table, options).search(exhaustive.utterances(log_probs, lengths))
    for few, many in zip(short, full, strict=True):
        assert few[0][0] == many[0][0]
        assert few[0][1] == pytest.approx(many[0][1], abs=1e-5)


@pytest.mark.parametrize("width", [1, 4])
def test_real_decoder_alone_and_in_a_batch(width, make_hybrid, make_batch, letters):
    search = JointBeam(JointBeamConfig(beam_size=width, nbest=3), model=make_hybrid(), tokenizer=letters)
    seconds = [0.5, 1.2, 0.3, 0.9]
    batch = make_batch(seconds)
    together = search.infer(batch)
    for row, count in enumerate(batch["speech_lengths"].tolist()):
        alone = {
            "ids": batch["ids"][row : row + 1],
            "speech": batch["speech"][row : row + 1, :count],
            "speech_lengths": batch["speech_lengths"][row : row + 1],
        }
        (found,) = search.infer(alone)
        assert [entry["text"] for entry in found["nbest"]] == [e["text"] for e in together[row]["nbest"]]
        assert found.get("token_times") == together[row].get("token_times")
        for one, other in zip(found["nbest"], together[row]["nbest"], strict=True):
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_scores_of_a_real_decoder_agree_with_its_training_pass(make_hybrid, make_batch, letters):
    """The cache, its reordering and the prefix scores: recompute the score of each hypothesis at once."""
    model = make_hybrid().eval()
    search = JointBeam(JointBeamConfig(beam_size=5, nbest=5, ctc_weight=0.4), model=model, tokenizer=letters)
    batch = make_batch([0.5, 0.9])
    results = search.infer(batch)
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
        ctc = model.ctc.log_probs(encoded.features)
        for row, found in enumerate(results):
            assert len(found["nbest"]) >= 2
            scores = [entry["score"] for entry in found["nbest"]]
            assert scores == sorted(scores, reverse=True)
            for entry in found["nbest"]:
                ids = [letters.tokens.index(token) for token in entry["tokens"]]
                inputs = torch.tensor([[letters.sos_id, *ids]])
                memory, frames = encoded.features[row : row + 1], encoded.lengths[row : row + 1]
                logits = model.decoder(inputs, torch.tensor([len(ids) + 1]), memory, frames)
                labels = torch.tensor([*ids, letters.eos_id])
                attention = logits[0].log_softmax(-1).gather(1, labels[:, None]).sum()
                whole = -torch.nn.functional.ctc_loss(
                    ctc[row, :, None], torch.tensor([ids]), frames, torch.tensor([len(ids)]), reduction="sum"
                )
                assert entry["score"] == pytest.approx(float(0.6 * attention + 0.4 * whole), abs=1e-3)


def test_very_short_recordings(make_hybrid, make_batch, letters):
    search = JointBeam(JointBeamConfig(beam_size=3), model=make_hybrid(), tokenizer=letters)
    batch = make_batch([0.02, 0.5])
    found = search.infer(batch)
    assert len(found) == 2
    assert np.isfinite([result["score"] for result in found]).all()


def test_needs_a_decoder(make_ctc, letters):
    with pytest.raises(UserError, match="needs a model with a decoder") as error:
        JointBeam(JointBeamConfig(), model=make_ctc(), tokenizer=letters)
    assert "asr/ctc_prefix_beam" in error.value.hint
    with pytest.raises(UserError, match="search.ctc_weight must be in"):
        JointBeam(JointBeamConfig(ctc_weight=1.5), model=make_ctc(), tokenizer=letters)


def test_ctc_alone_needs_no_decoder(make_ctc, make_batch, letters):
    model, batch = make_ctc(), make_batch([0.3, 0.4])
    joint = JointBeam(JointBeamConfig(ctc_weight=1.0, beam_size=20), model=model, tokenizer=letters)
    with torch.no_grad():
        encoded = model.encode(batch["speech"], batch["speech_lengths"])
        ctc = model.ctc.log_probs(encoded.features)
    for row, found in enumerate(joint.infer(batch)):
        ids = torch.tensor([[letters.tokens.index(token) for token in found["tokens"]]])
        whole = torch.nn.functional.ctc_loss(
            ctc[row, :, None],
            ids,
            encoded.lengths[row : row + 1],
            torch.tensor([ids.shape[1]]),
            reduction="sum",
        )
        assert found["score"] == pytest.approx(-float(whole), abs=1e-4)
