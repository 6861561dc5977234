from __future__ import annotations

import pytest
import torch
from espnet3_asr.searches.config import CTCPrefixBeamConfig
from espnet3_asr.searches.ctc_prefix_beam import CTCPrefixBeam
from espnet3_core.errors import UserError


def search(model, letters, **options):
    return CTCPrefixBeam(CTCPrefixBeamConfig(**options), model=model, tokenizer=letters)


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_is_exhaustive(seed, make_ctc, letters, exhaustive):
    torch.manual_seed(seed)
    log_probs = (torch.randn(3, 6, 3) * 1.5).log_softmax(-1)
    lengths = [6, 1, 4]
    beam = search(make_ctc(), letters, beam_size=200, nbest=200, tokens_per_frame=None)
    found = beam.search(exhaustive.utterances(log_probs, lengths))
    for row, frames in enumerate(lengths):
        expected = exhaustive.ctc(log_probs[row, :frames])
        assert {tuple(ids): pytest.approx(score) for ids, score in found[row]} == expected
        scores = [score for _, score in found[row]]
        assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("width", [1, 2, 3, 5])
def test_a_narrow_beam_agrees_with_a_dictionary_of_prefixes(width, make_ctc, letters, exhaustive):
    torch.manual_seed(width)
    log_probs = (torch.randn(1, 9, 4) * 1.5).log_softmax(-1)
    beam = search(make_ctc(), letters, beam_size=width, nbest=width, tokens_per_frame=None)
    (found,) = beam.search(exhaustive.utterances(log_probs, [9]))
    expected = textbook(log_probs[0], width)
    assert [tuple(ids) for ids, _ in found] == [text for text, _ in expected]
    assert [score for _, score in found] == pytest.approx([score for _, score in expected])


def textbook(log_probs, width):
    """Prefix beam search with a dictionary, one prefix and token at a time."""
    table = log_probs.double().exp().tolist()
    beam = {(): (1.0, 0.0)}
    for row in table:
        grown: dict[tuple[int, ...], list[float]] = {}
        for prefix, (blank, token) in beam.items():
            stay = grown.setdefault(prefix, [0.0, 0.0])
            stay[0] += (blank + token) * row[0]
            if prefix:
                stay[1] += token * row[prefix[-1]]
            for symbol in range(1, len(row)):
                source = blank if prefix and prefix[-1] == symbol else blank + token
                grown.setdefault((*prefix, symbol), [0.0, 0.0])[1] += source * row[symbol]
        ranked = sorted(grown.items(), key=lambda entry: -sum(entry[1]))
        beam = {prefix: (values[0], values[1]) for prefix, values in ranked[:width]}
    return [(prefix, float(torch.tensor(sum(values)).double().log())) for prefix, values in beam.items()]


def test_results_are_the_same_alone_and_in_a_batch(make_ctc, make_batch, letters):
    beam = search(make_ctc(), letters, beam_size=6, nbest=3)
    batch = make_batch([0.5, 1.2, 0.3])
    together = beam.infer(batch)
    for row, count in enumerate(batch["speech_lengths"].tolist()):
        alone = {
            "ids": batch["ids"][row : row + 1],
            "speech": batch["speech"][row : row + 1, :count],
            "speech_lengths": batch["speech_lengths"][row : row + 1],
        }
        (found,) = beam.infer(alone)
        assert found["text"] == together[row]["text"]
        assert found["token_times"] == together[row]["token_times"]
        assert found["score"] == pytest.approx(together[row]["score"], abs=1e-4)


def test_sums_over_paths_where_greedy_does_not(make_ctc, letters, exhaustive):
    probs = torch.tensor([[[0.6, 0.4, 0.0], [0.6, 0.4, 0.0]]])
    (found,) = search(make_ctc(), letters).search(exhaustive.utterances(probs.log(), [2]))
    assert found[0][0] == [1]
    assert found[0][1] == pytest.approx(torch.tensor(0.64).log().item(), abs=1e-6)


def test_wrong_options(make_ctc, letters):
    with pytest.raises(UserError, match="search.beam_size must be at least 1, not 0"):
        search(make_ctc(), letters, beam_size=0)
