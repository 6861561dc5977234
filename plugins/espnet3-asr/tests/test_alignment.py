from __future__ import annotations

import itertools

import pytest
import torch
from espnet3_asr.alignment import forced_align


def best_path(log_probs, tokens):
    """The best path that collapses to the tokens, by trying all."""
    frames, size = log_probs.shape
    best = (-float("inf"), None)
    for path in itertools.product(range(size), repeat=frames):
        if [k for k, _ in itertools.groupby(path) if k != 0] == tokens:
            score = sum(float(log_probs[t, c]) for t, c in enumerate(path))
            best = max(best, (score, path), key=lambda pair: pair[0])
    return best


def runs(path):
    found, frame = [], 0
    for token, group in itertools.groupby(path):
        length = len(list(group))
        if token != 0:
            found.append((frame, frame + length))
        frame += length
    return found


@pytest.mark.parametrize("seed", range(4))
def test_agrees_with_all_paths(seed):
    torch.manual_seed(seed)
    lengths = torch.tensor([5, 3, 4, 1, 5])
    texts = [[1, 1, 2], [2], [], [1], [2, 1]]
    log_probs = (torch.randn(5, 5, 3) * 2).log_softmax(-1)
    tokens = torch.tensor([text + [-1] * (3 - len(text)) for text in texts])
    counts = torch.tensor([len(text) for text in texts])
    found = forced_align(log_probs, lengths, tokens, counts)
    for row, text in enumerate(texts):
        score, path = best_path(log_probs[row, : lengths[row]], text)
        assert found.scores[row].item() == pytest.approx(score, abs=1e-5)
        pairs = zip(found.starts[row].tolist(), found.ends[row].tolist(), strict=True)
        assert list(pairs)[: len(text)] == runs(path)


def test_too_few_frames():
    found = forced_align(torch.zeros(1, 2, 3), torch.tensor([2]), torch.tensor([[1, 1]]), torch.tensor([2]))
    assert found.scores.item() == -float("inf")


def test_no_tokens_and_no_frames():
    log_probs = torch.full((2, 3, 2), 0.5).log()
    empty = torch.zeros(2, 0, dtype=torch.long)
    found = forced_align(log_probs, torch.tensor([3, 0]), empty, torch.tensor([0, 0]))
    torch.testing.assert_close(
        found.scores, torch.tensor([3 * 0.5, 0]).double().new_tensor([-2.0794415, 0.0])
    )
    assert found.starts.shape == (2, 0)
