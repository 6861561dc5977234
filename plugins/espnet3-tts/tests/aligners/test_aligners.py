"""Alignment search and losses beside enumeration of all alignments."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from espnet3_tts.aligners.aligner import Aligner
from espnet3_tts.aligners.durations import owners
from espnet3_tts.aligners.forward_sum import binarization_loss, forward_sum_loss
from espnet3_tts.aligners.prior import beta_binomial_prior
from espnet3_tts.aligners.search import monotonic_alignment, posteriors
from scipy.stats import betabinom


def alignments(tokens: int, frames: int):
    """Durations of all monotonic alignments."""
    for cuts in itertools.combinations(range(1, frames), tokens - 1):
        yield np.diff([0, *cuts, frames])


def score(log_probs: torch.Tensor, durations) -> float:
    path = np.repeat(np.arange(len(durations)), durations)
    return float(log_probs[np.arange(len(path)), path].sum())


SIZES = [(tokens, frames) for tokens in range(1, 6) for frames in range(tokens, 9)]


@pytest.mark.parametrize("seed", range(3))
def test_the_search_equals_enumeration(seed):
    torch.manual_seed(seed)
    tokens, frames = (torch.tensor(sizes) for sizes in zip(*SIZES, strict=True))
    log_probs = torch.randn(len(SIZES), 8, 5, dtype=torch.float64) * 3
    found = monotonic_alignment(log_probs, tokens, frames)
    for row, (count, length) in enumerate(SIZES):
        durations = found[row, :count].numpy()
        assert durations.min() >= 1
        assert durations.sum() == length
        assert found[row, count:].sum() == 0
        best = max(score(log_probs[row], other) for other in alignments(count, length))
        assert score(log_probs[row], durations) == pytest.approx(best, abs=1e-9)


def test_posteriors_equal_enumeration():
    torch.manual_seed(0)
    sizes = [(tokens, frames) for tokens, frames in SIZES if frames < 7]
    tokens, frames = (torch.tensor(row) for row in zip(*sizes, strict=True))
    log_probs = torch.randn(len(sizes), 6, 5, dtype=torch.float64) * 2
    with torch.inference_mode():
        found = posteriors(log_probs, tokens, frames)
    for row, (count, length) in enumerate(sizes):
        wanted = torch.zeros(6, 5, dtype=torch.float64)
        for durations in alignments(count, length):
            path = np.repeat(np.arange(count), durations)
            wanted[np.arange(length), path] += math.exp(score(log_probs[row], durations))
        assert torch.allclose(found[row], wanted / wanted[0].sum(), atol=1e-12)


def test_padding_and_impossible_values_do_not_count():
    torch.manual_seed(0)
    log_probs = torch.randn(1, 6, 3)
    alone = monotonic_alignment(log_probs, torch.tensor([3]), torch.tensor([6]))
    padded = torch.full((2, 9, 7), math.nan)
    padded[0, :6, :3] = log_probs
    padded[1] = -math.inf
    together = monotonic_alignment(padded, torch.tensor([3, 7]), torch.tensor([6, 9]))
    assert together[0, :3].tolist() == alone[0].tolist()
    assert together[1].sum() == 9
    with pytest.raises(ValueError, match="a frame for each token"):
        monotonic_alignment(log_probs, torch.tensor([3]), torch.tensor([2]))


def test_of_equal_alignments_tokens_begin_as_early_as_they_can():
    found = monotonic_alignment(torch.zeros(1, 6, 3), torch.tensor([3]), torch.tensor([6]))
    assert found.tolist() == [[1, 1, 4]]


def test_the_prior_is_scipys():
    tokens, frames = torch.tensor([4, 1, 6]), torch.tensor([7, 5, 9])
    for scale in (1.0, 0.5):
        found = beta_binomial_prior(tokens, frames, scale)
        for row, (count, length) in enumerate(zip(tokens.tolist(), frames.tolist(), strict=True)):
            t = np.arange(1, length + 1)[:, None]
            wanted = betabinom.logpmf(np.arange(count), count - 1, scale * t, scale * (length - t + 1))
            np.testing.assert_allclose(found[row, :length, :count].numpy(), wanted, atol=1e-5)


def test_the_forward_sum_loss_equals_enumeration():
    """Every way through tokens in order with blanks between, before and after (Badlani et al. 2021)."""
    torch.manual_seed(0)
    tokens, frames = [3, 2], [5, 4]
    scores = torch.randn(2, 5, 3, dtype=torch.float64)
    scores[1, :, 2:] = -1e4
    wanted = []
    for row, (count, length) in enumerate(zip(tokens, frames, strict=True)):
        table = torch.nn.functional.pad(scores[row], (1, 0), value=-1.0).log_softmax(-1).numpy()
        total = -math.inf
        for path in itertools.product(range(count + 1), repeat=length):
            said = [token for token, _ in itertools.groupby(path) if token]
            if said == list(range(1, count + 1)):
                total = np.logaddexp(total, sum(table[t, token] for t, token in enumerate(path)))
        wanted.append(-total / count)
    found = forward_sum_loss(scores, torch.tensor(tokens), torch.tensor(frames))
    assert found.item() == pytest.approx(np.mean(wanted), abs=1e-9)


def test_owners_and_binarization():
    durations = torch.tensor([[2, 0, 3], [1, 1, 0]])
    assert owners(durations, 6).tolist() == [[0, 0, 2, 2, 2, -1], [0, 1, -1, -1, -1, -1]]
    log_probs = torch.randn(2, 6, 3)
    picked = [log_probs[0, t, n] for t, n in enumerate([0, 0, 2, 2, 2])]
    picked += [log_probs[1, 0, 0], log_probs[1, 1, 1]]
    assert binarization_loss(log_probs, durations).item() == pytest.approx(-float(sum(picked)) / 7, abs=1e-6)


def make_aligner(prior_scale: float = 1.0) -> Aligner:
    torch.manual_seed(0)
    return Aligner(token_size=6, n_mels=5, size=4, temperature=0.7, prior_scale=prior_scale)


def test_soft_alignments_are_distances_with_the_prior():
    aligner = make_aligner()
    embedded, mel = torch.randn(1, 4, 6), torch.randn(1, 9, 5)
    tokens, frames = torch.tensor([4]), torch.tensor([9])
    found = aligner(embedded, tokens, mel, frames)
    keys = aligner.keys(embedded.transpose(1, 2)).transpose(1, 2)
    queries = aligner.queries(mel.transpose(1, 2)).transpose(1, 2)
    distances = (queries[:, :, None] - keys[:, None]).square().sum(-1)
    wanted = (-0.7 * distances).log_softmax(-1) + beta_binomial_prior(tokens, frames)
    assert torch.allclose(found.scores, wanted, atol=1e-4)
    assert torch.allclose(found.log_probs.exp().sum(-1), torch.ones(1, 9))


def test_alignment_does_not_depend_on_the_batch():
    aligner = make_aligner()
    embedded, mel = torch.randn(2, 5, 6), torch.randn(2, 9, 5)
    embedded[1, 3:], mel[1, 6:] = 0, 0
    together = aligner(embedded, torch.tensor([5, 3]), mel, torch.tensor([9, 6]))
    alone = aligner(embedded[1:, :3], torch.tensor([3]), mel[1:, :6], torch.tensor([6]))
    assert torch.allclose(together.log_probs[1, :6, :3], alone.log_probs[0], atol=1e-5)
    assert together.log_probs[1, :6, 3:].exp().max() == 0


def test_it_learns_who_is_when():
    """Five sounds, each with its spectrum, in random orders and durations: found without being told."""
    rng = np.random.default_rng(0)
    spectra = torch.from_numpy(rng.standard_normal((5, 5)).astype(np.float32)) * 2
    table = torch.nn.Embedding(5, 6)
    aligner = make_aligner()
    optimizer = torch.optim.Adam([*aligner.parameters(), *table.parameters()], lr=1e-2)

    def batch():
        orders = [rng.permutation(5)[:4] for _ in range(8)]
        lengths = [rng.integers(2, 7, 4) for _ in range(8)]
        rows = [spectra[np.repeat(order, length)] for order, length in zip(orders, lengths, strict=True)]
        mel = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mel = mel + 0.1 * torch.from_numpy(rng.standard_normal(mel.shape).astype(np.float32))
        frames = torch.tensor([len(row) for row in rows])
        mel[torch.arange(mel.shape[1])[None] >= frames[:, None]] = 0
        return torch.tensor(np.array(orders)), mel, frames, torch.tensor(np.array(lengths))

    tokens = torch.full((8,), 4)
    for _ in range(120):
        order, mel, frames, lengths = batch()
        soft = aligner(table(order), tokens, mel, frames)
        optimizer.zero_grad()
        forward_sum_loss(soft.scores, tokens, frames).backward()
        optimizer.step()
    order, mel, frames, lengths = batch()
    found = monotonic_alignment(aligner(table(order), tokens, mel, frames).log_probs, tokens, frames)
    assert (found - lengths).abs().max() <= 1
    assert (found == lengths).float().mean() > 0.8


def test_mixed_precision_does_not_blur_the_alignment():
    torch.manual_seed(0)
    aligner = make_aligner()
    embedded, mel = torch.randn(2, 5, 6), torch.randn(2, 9, 5)
    sizes = torch.tensor([5, 3]), torch.tensor([9, 6])
    wanted = aligner(embedded, sizes[0], mel, sizes[1])
    with torch.autocast("cpu", torch.bfloat16):
        found = aligner(embedded, sizes[0], mel, sizes[1])
    assert torch.equal(found.scores, wanted.scores)
