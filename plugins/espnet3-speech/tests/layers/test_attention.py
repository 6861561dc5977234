import math

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.layers.attention import (
    BlockContext,
    RelativeSelfAttention,
    SelfAttention,
    attend,
    position_scores,
    shift_relative,
)
from espnet3_speech.layers.positions import PositionTable, rotate, sinusoids
from espnet3_speech.masks import valid_mask

LENGTHS = torch.tensor([7, 4, 1])


def context(positions: torch.Tensor | None = None) -> BlockContext:
    valid = valid_mask(LENGTHS, 7)
    return BlockContext(valid.unsqueeze(-1), valid[None, :, None, :], positions)


def test_equals_torch_multihead_attention() -> None:
    ours = SelfAttention(8, 2, 0.0, "abs_pos").double()
    theirs = torch.nn.MultiheadAttention(8, 2, batch_first=True).double()
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.project.weight,
            "in_proj_bias": ours.project.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    values = torch.randn(3, 7, 8, dtype=torch.float64)
    expected, _ = theirs(values, values, values, key_padding_mask=~valid_mask(LENGTHS, 7))
    assert torch.allclose(ours(values, context()), expected)


def test_relative_attention_equals_loops_over_pairs_of_frames() -> None:
    size, heads, dim = 8, 2, 4
    module = RelativeSelfAttention(size, heads, 0.0).double().eval()
    table = PositionTable(size, signed=True)
    values = torch.randn(3, 7, size, dtype=torch.float64)
    out = module(values, context(table(7, values)))
    query, key, value = module.project(values).chunk(3, -1)
    for b, length in enumerate(LENGTHS.tolist()):
        mixed = torch.zeros(7, size, dtype=torch.float64)
        for h in range(heads):
            part = slice(h * dim, (h + 1) * dim)
            for i in range(7):
                scores = []
                for j in range(length):
                    distance = sinusoids(torch.tensor([i - j]), size)
                    r = module.project_positions(distance)[0, part]
                    q = query[b, i, part]
                    term = (q + module.content_bias[h]) @ key[b, j, part] + (q + module.position_bias[h]) @ r
                    scores.append(term / math.sqrt(dim))
                weights = torch.stack(scores).softmax(0)
                mixed[i, part] = weights @ value[b, :length, part]
        assert torch.allclose(out[b], module.out(mixed))


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_shift_is_a_view_that_picks_distances(frames: int) -> None:
    scores = torch.randn(2, 3, frames, 2 * frames - 1)
    shifted = shift_relative(scores)
    assert shifted.untyped_storage().data_ptr() == scores.untyped_storage().data_ptr()
    for i in range(frames):
        for j in range(frames):
            assert torch.equal(shifted[..., i, j], scores[..., i, j - i + frames - 1])


def test_rotary_scores_depend_on_distances_only() -> None:
    table = sinusoids(torch.arange(20), 8)
    query, key = torch.randn(1, 1, 1, 8, dtype=torch.float64), torch.randn(1, 1, 1, 8, dtype=torch.float64)

    def score(i: int, j: int) -> float:
        return float((rotate(query, table[i : i + 1]) * rotate(key, table[j : j + 1])).sum())

    assert score(3, 5) == pytest.approx(score(12, 14))
    assert score(3, 5) != pytest.approx(score(3, 6))
    assert score(4, 4) == pytest.approx(float((query * key).sum()))


def test_rotary_attention_equals_rotated_plain_attention() -> None:
    module = SelfAttention(8, 2, 0.0, "rope").double()
    values = torch.randn(3, 7, 8, dtype=torch.float64)
    table = sinusoids(torch.arange(7), 4)
    query, key, value = (p.view(3, 7, 2, 4).transpose(1, 2) for p in module.project(values).chunk(3, -1))
    scores = rotate(query, table) @ rotate(key, table).transpose(-1, -2) / 2
    weights = scores.masked_fill(~valid_mask(LENGTHS, 7)[:, None, None], -math.inf).softmax(-1)
    expected = module.out((weights @ value).transpose(1, 2).flatten(2))
    assert torch.allclose(module(values, context(table)), expected)


def test_heads_must_divide_the_size() -> None:
    with pytest.raises(UserError, match="3 heads do not divide a size of 8"):
        SelfAttention(8, 3, 0.0, "none")


@pytest.mark.parametrize("additive", [False, True])
def test_attention_in_training_equals_the_fused_one_when_nothing_is_dropped(additive: bool) -> None:
    query, key, value = torch.randn(3, 2, 4, 5, 6, dtype=torch.float64)
    mask = torch.rand(4, 1, 5) < 0.7
    mask[..., 0] = True
    if additive:
        mask = torch.randn(2, 4, 5, 5, dtype=torch.float64)
    # The smallest probability that still takes the path of training: it rounds to keeping everything.
    assert torch.allclose(attend(query, key, value, mask, 1e-9), attend(query, key, value, mask, 0.0))


def test_position_scores_head_by_head_are_those_of_one_product_with_their_gradients():
    torch.manual_seed(0)
    query, distances = torch.randn(2, 3, 40, 8), torch.randn(2, 79, 8)
    exact = [part.double().requires_grad_() for part in (query, distances)]
    found = [part.requires_grad_() for part in (query, distances)]
    scores, expected = position_scores(*found), position_scores(*exact)
    assert "_PositionScores" in type(scores.grad_fn).__name__, "this is to test the way that oneDNN takes"
    toward = torch.randn_like(scores)
    scores.backward(toward)
    expected.backward(toward.double())
    torch.testing.assert_close(scores.double(), expected, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(found, exact, strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)
