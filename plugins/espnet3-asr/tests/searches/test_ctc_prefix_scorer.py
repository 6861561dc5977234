from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet3_asr.searches.ctc_prefix_scorer import CTCPrefixScorer
from torch.nn import functional


def prefix_probability(texts, prefix):
    return np.logaddexp.reduce([s for text, s in texts.items() if text[: len(prefix)] == prefix] or [-np.inf])


@pytest.mark.parametrize("with_candidates", [False, True])
def test_all_prefixes_agree_with_enumeration(with_candidates, exhaustive):
    torch.manual_seed(0)
    log_probs = (torch.randn(2, 5, 3) * 2).log_softmax(-1)
    lengths = torch.tensor([5, 3])
    scorer = CTCPrefixScorer(log_probs, lengths)
    references = [exhaustive.ctc(log_probs[row, :frames]) for row, frames in enumerate([5, 3])]
    state, prefixes = scorer.start(), [[()], [()]]
    for _ in range(4):
        rows = len(prefixes[0])
        candidates = torch.tensor([2, 1]).expand(2 * rows, -1) if with_candidates else None
        scores = scorer.score(state, candidates).view(2, rows, -1)
        complete = scorer.complete(state).view(2, rows)
        for row in range(2):
            for column, prefix in enumerate(prefixes[row]):
                whole = references[row].get(prefix, -np.inf)
                assert complete[row, column].item() == pytest.approx(whole, abs=1e-4)
                for token in (1, 2):
                    expected = prefix_probability(references[row], (*prefix, token))
                    place = {2: 0, 1: 1}[token] if with_candidates else token
                    found = scores[row, column, place].item()
                    # Sums that underflow have a floor, so that no token is ruled out by rounding.
                    assert found == pytest.approx(expected, abs=1e-4) or expected == -np.inf and found < -80
        columns = torch.arange(rows).repeat_interleave(2)
        index = torch.cat([columns, columns + rows])
        tokens = torch.tensor([1, 2]).repeat(2 * rows)
        state = scorer.extend(state, index, tokens)
        prefixes = [[(*prefix, token) for prefix in row for token in (1, 2)] for row in prefixes]


def test_long_texts_agree_with_torch(exhaustive):
    torch.manual_seed(1)
    log_probs = (torch.randn(3, 200, 30) * 3).log_softmax(-1)
    lengths = torch.tensor([200, 150, 60])
    text = torch.randint(1, 30, (3, 40))
    text[:, 7] = text[:, 6]
    scorer = CTCPrefixScorer(log_probs, lengths)
    state = scorer.start()
    for column in range(40):
        scores = scorer.score(state).gather(1, text[:, column : column + 1])
        state = scorer.extend(state, torch.arange(3), text[:, column])
        assert (scorer.complete(state) <= scores.squeeze(1) + 1e-3).all()
    expected = -functional.ctc_loss(
        log_probs.transpose(0, 1).double(), text, lengths, torch.full((3,), 40), reduction="none"
    )
    torch.testing.assert_close(scorer.complete(state), expected, atol=1e-8, rtol=1e-9)


def test_reordered_and_dropped_hypotheses():
    torch.manual_seed(2)
    log_probs = torch.randn(3, 12, 6).log_softmax(-1)
    lengths = torch.tensor([12, 7, 9])
    scorer = CTCPrefixScorer(log_probs, lengths)
    state = scorer.extend(scorer.start(), torch.tensor([0, 0, 1, 1, 2, 2]), torch.tensor([1, 2, 3, 4, 5, 1]))
    scorer.keep(torch.tensor([0, 2]))
    state = scorer.extend(state, torch.tensor([1, 0, 5, 5]), torch.tensor([2, 3, 1, 4]))
    texts = [(0, [2, 2]), (0, [1, 3]), (2, [1, 1]), (2, [1, 4])]
    for row, (utterance, text) in enumerate(texts):
        expected = -functional.ctc_loss(
            log_probs[utterance, : lengths[utterance], None],
            torch.tensor([text]),
            lengths[utterance : utterance + 1],
            torch.tensor([2]),
            reduction="none",
        )
        assert scorer.complete(state)[row].item() == pytest.approx(expected.item(), abs=1e-5)


def test_impossible_prefixes_stay_impossible():
    scorer = CTCPrefixScorer(torch.randn(1, 2, 4).log_softmax(-1), torch.tensor([2]))
    state = scorer.start()
    for token in (1, 1):
        state = scorer.extend(state, torch.tensor([0]), torch.tensor([token]))
    assert scorer.complete(state).item() == -float("inf")
    scores = scorer.score(state)
    assert not torch.isnan(scores).any()
    assert (scores[:, 1:] == -float("inf")).all()


def test_padding_does_not_lower_the_precision():
    """A text that the last frame completes leaves far less for longer ones; both must be exact."""
    probs = torch.tensor([[[1 - 2e-30, 1e-30, 1e-30]] * 3 + [[1e-30, 1 - 2e-30, 1e-30]]])
    log_probs = torch.cat([probs.double().log(), torch.zeros(1, 6, 3).double()], 1).float()
    scores = []
    for frames in (4, 10):
        scorer = CTCPrefixScorer(log_probs[:, :frames], torch.tensor([4]))
        state = scorer.extend(scorer.start(), torch.tensor([0]), torch.tensor([1]))
        scores.append(scorer.score(state)[0, 2].item())
    alone, padded = scores
    # The 1 in any of the first three frames, the 2 in a later one: at best 1e-30 squared.
    assert alone == pytest.approx(np.log(6e-60), abs=1e-3)
    assert padded == alone
