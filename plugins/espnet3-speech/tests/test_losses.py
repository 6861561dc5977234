import itertools
import math

import pytest
import torch
from espnet3_speech.config import CTCConfig
from espnet3_speech.layers.ctc_loss import ctc_loss, ctc_loss_of_logits
from espnet3_speech.losses import CTC, LabelSmoothingLoss, token_accuracy, too_short
from torch.nn import functional


def brute_ctc(log_probs: torch.Tensor, text: list[int]) -> float:
    """Sum over every path of tokens that collapses to the text."""
    frames, vocab = log_probs.shape
    total = 0.0
    for path in itertools.product(range(vocab), repeat=frames):
        collapsed = [token for token, _ in itertools.groupby(path) if token]
        if collapsed == text:
            total += math.exp(sum(float(log_probs[t, token]) for t, token in enumerate(path)))
    return -math.log(total)


def test_ctc_sums_over_all_alignments() -> None:
    log_probs = torch.randn(2, 5, 3, dtype=torch.float64).log_softmax(-1)
    text = torch.tensor([[1, 1, 2], [2, -1, -1]])
    loss = ctc_loss(log_probs, torch.tensor([5, 3]), text, torch.tensor([3, 1]))
    expected = (brute_ctc(log_probs[0], [1, 1, 2]) + brute_ctc(log_probs[1, :3], [2])) / 2
    assert loss.item() == pytest.approx(expected)


def test_ctc_counts_what_cannot_be_aligned_and_leaves_it_out() -> None:
    ctc = CTC(vocab_size=5, input_size=4)
    hidden = torch.randn(3, 3, 4)
    lengths, text = torch.tensor([3, 3, 2]), torch.tensor([[1, 2, -1], [1, 1, 2], [3, 3, -1]])
    text_lengths = torch.tensor([2, 3, 2])
    assert too_short(lengths, text, text_lengths).tolist() == [False, True, True]
    assert ctc.impossible(lengths, text, text_lengths).item() == 2
    loss = ctc.loss(hidden, lengths, text, text_lengths)
    alone = ctc.loss(hidden[:1], lengths[:1], text[:1, :2], text_lengths[:1])
    assert loss.item() * 3 == pytest.approx(alone.item(), rel=1e-6)
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in ctc.parameters())


def test_an_empty_text_is_all_blanks() -> None:
    log_probs = torch.randn(1, 4, 3).log_softmax(-1)
    loss = ctc_loss(log_probs, torch.tensor([4]), torch.zeros(1, 0, dtype=torch.long), torch.tensor([0]))
    assert loss.item() == pytest.approx(-log_probs[0, :, 0].sum().item())
    assert not too_short(torch.tensor([4]), torch.zeros(1, 0, dtype=torch.long), torch.tensor([0])).any()


def test_ctc_is_computed_in_float32_under_autocast() -> None:
    ctc = CTC(CTCConfig(dropout=0.1), vocab_size=7, input_size=4)
    assert ctc.dropout.p == 0.1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        log_probs = ctc.log_probs(torch.randn(1, 6, 4))
        loss = ctc.loss(torch.randn(1, 6, 4), torch.tensor([6]), torch.tensor([[1, 2]]), torch.tensor([2]))
    assert log_probs.dtype == loss.dtype == torch.float32
    assert log_probs.exp().sum(-1).detach() == pytest.approx(torch.ones(1, 6), abs=1e-5)
    assert ctc.double().log_probs(torch.randn(1, 2, 4).double()).dtype == torch.float64


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("normalize", ["batch", "tokens"])
def test_label_smoothing_is_a_divergence(smoothing: float, normalize: str) -> None:
    logits, labels = torch.randn(2, 4, 6, dtype=torch.float64), torch.tensor([[1, 2, 5, 0], [3, 4, -1, -1]])
    loss = LabelSmoothingLoss(smoothing, normalize)(logits, labels)  # type: ignore[arg-type]
    target = torch.full((2, 4, 6), smoothing / 5, dtype=torch.float64)
    target.scatter_(2, labels.clamp(min=0).unsqueeze(2), 1 - smoothing)
    divergence = functional.kl_div(logits.log_softmax(-1), target, reduction="none").sum(-1)
    expected = divergence[labels >= 0].sum() / (2 if normalize == "batch" else 6)
    assert loss.item() == pytest.approx(expected.item())


def test_label_smoothing_against_torch() -> None:
    """Torch smooths over all tokens; its gradient is ours at the share that leaves the label as much."""
    logits = torch.randn(3, 5, 7, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 7, (3, 5))
    ours = torch.autograd.grad(LabelSmoothingLoss(0.1, "tokens")(logits, labels), logits)[0]
    total = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=0.1 * 7 / 6)
    theirs = torch.autograd.grad(total, logits)[0]
    assert torch.allclose(ours, theirs)


def test_label_smoothing_of_the_smoothed_labels_is_zero() -> None:
    target = torch.full((1, 1, 5), 0.1 / 4, dtype=torch.float64)
    target[0, 0, 2] = 0.9
    assert LabelSmoothingLoss(0.1)(target.log(), torch.tensor([[2]])).item() == pytest.approx(0, abs=1e-12)


def test_nothing_but_padding_has_no_loss() -> None:
    loss = LabelSmoothingLoss(0.1, "tokens")(torch.randn(1, 2, 5), torch.full((1, 2), -1))
    assert loss.item() == 0


def test_accuracy_leaves_padding_out() -> None:
    logits = torch.eye(4).unsqueeze(0)
    assert token_accuracy(logits, torch.tensor([[0, 1, 0, -1]])).item() == pytest.approx(2 / 3)


def test_ctc_from_logits_has_the_losses_and_gradients_of_the_definition():
    torch.manual_seed(0)
    frames, counts = torch.tensor([30, 25, 20, 3, 12]), torch.tensor([10, 5, 10, 9, 0])
    text = torch.randint(1, 5, (5, 10))  # few tokens: the same ones come again and again
    text[torch.arange(10) >= counts.unsqueeze(1)] = -1
    logits = torch.randn(5, 30, 40, dtype=torch.float64, requires_grad=True)
    shares = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)  # the loss is scaled afterwards
    found = ctc_loss_of_logits(logits, frames, text, counts)
    expected = ctc_loss(logits.log_softmax(-1), frames, text, counts)
    torch.testing.assert_close(found, expected)
    slopes = [torch.autograd.grad(loss * shares, logits)[0] for loss in (found, expected)]
    torch.testing.assert_close(*slopes)
    assert slopes[0][3].eq(0).all(), "too few frames for the text: no loss, no gradient"
    some = frames[1:3], text[1:3], counts[1:3]
    assert torch.autograd.gradcheck(lambda values: ctc_loss_of_logits(values, *some), logits[1:3])


@pytest.mark.parametrize("tokens", [7, 100])
def test_best_path_is_that_of_the_log_probabilities(tokens):
    torch.manual_seed(0)
    ctc = CTC(vocab_size=tokens, input_size=6).eval()
    hidden = torch.randn(3, 150, 6)
    scores, best = ctc.best_path(hidden)
    expected = ctc.log_probs(hidden).max(-1)
    torch.testing.assert_close(scores, expected.values)
    assert torch.equal(best, expected.indices)
