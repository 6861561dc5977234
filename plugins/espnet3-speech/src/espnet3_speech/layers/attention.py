"""Multi-head attention over frames, with and without relative positions."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

from espnet3_speech.layers.dropout import dropout as drop
from espnet3_speech.layers.exporting import exporting
from espnet3_speech.layers.linear import FusedLinear, Linear, by_onednn, gradient_of_weight, product
from espnet3_speech.layers.positions import rotate

Scheme = Literal["abs_pos", "rel_pos", "rope", "none"]


class BlockContext(NamedTuple):
    """What all blocks of one forward pass share.

    Attributes:
        valid: ``(batch, frames, 1)`` bool, True in valid frames.
        keys: ``(1, batch, 1, frames)`` bool, the same for attention.
        positions: Position rows of the scheme, or None where positions are added to the input.
    """

    valid: Tensor
    keys: Tensor
    positions: Tensor | None


def shift_relative(scores: Tensor) -> Tensor:
    """Realign scores by distance to scores by key, without a copy (Dai et al. 2019, appendix B).

    Args:
        scores: ``(…, frames, 2 * frames - 1)`` contiguous; column ``c`` belongs to a key
            ``c - (frames - 1)`` frames after the query.

    Returns:
        ``(…, frames, frames)`` view with ``out[…, i, j] = scores[…, i, j - i + frames - 1]``.
    """
    frames = scores.shape[-2]
    if exporting():  # The same as a copy, in operations that every format has.
        flat = functional.pad(scores, (0, 1)).flatten(-2)[..., frames - 1 : frames * 2 * frames - 1]
        return flat.unflatten(-1, (frames, 2 * frames - 1))[..., :frames]
    # Row i starts at frames - 1 - i: in the flattened matrix, rows of one column less, from frames - 1 on.
    strides = (*scores.stride()[:-2], 2 * frames - 2, 1)
    return scores.as_strided((*scores.shape[:-1], frames), strides, scores.storage_offset() + frames - 1)


def position_scores(query: Tensor, distances: Tensor) -> Tensor:
    """Products of queries with the distances to all keys, realigned to scores by key.

    Args:
        query: ``(heads, batch, frames, dim)``.
        distances: ``(heads, 2 * frames - 1, dim)``.

    Returns:
        ``(heads, batch, frames, frames)``.
    """
    if by_onednn(query, distances):
        return _PositionScores.apply(query, distances)  # type: ignore[no-any-return]
    products = query.flatten(1, 2) @ distances.transpose(1, 2)
    return shift_relative(products.unflatten(1, query.shape[1:3]))


class _PositionScores(torch.autograd.Function):
    """One head at a time: scores by distance are twice as many as those by key, and are not kept."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, distances: Tensor) -> Tensor:
        ctx.save_for_backward(query, distances)
        scores = query.new_empty(*query.shape[:3], query.shape[2])
        for head, rows, columns in zip(scores, query, distances, strict=True):
            head.copy_(shift_relative(product(rows, columns)))
        return scores

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        query, distances = ctx.saved_tensors
        of_query, of_distances = torch.empty_like(query), torch.empty_like(distances)
        by_distance = grad.new_zeros(*grad.shape[1:3], distances.shape[1])
        for head, toward in enumerate(grad):
            shift_relative(by_distance).copy_(toward)  # the same places in every head
            of_query[head] = product(by_distance, distances[head].t())
            of_distances[head] = gradient_of_weight(by_distance.flatten(0, 1), query[head].flatten(0, 1))
        return of_query, of_distances


def check_heads(size: int, heads: int) -> None:
    """Raise UserError unless the heads divide the size."""
    if heads < 1 or size % heads:
        raise UserError(
            f"attention: {heads} heads do not divide a size of {size}",
            hint="choose attention_heads that divides output_size",
        )


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, dropout: float) -> Tensor:
    """Attention of queries over keys (Vaswani et al. 2017, eq. 1).

    Fused, except in training with dropout on CPU: torch has no fused kernel there.

    Args:
        query: ``(a, b, queries, dim)``.
        key: ``(a, b, keys, dim)``.
        value: ``(a, b, keys, dim)``.
        mask: Bool, True where a key counts; or what is added to the scores. Broadcast to
            ``(a, b, queries, keys)``.
        dropout: Of attention weights.
    """
    if dropout == 0.0 or query.device.type != "cpu":
        return scaled_dot_product_attention(query, key, value, mask, dropout)
    if mask.dtype == torch.bool:
        mask = torch.where(mask, 0.0, -math.inf).to(query.dtype)
    shape = (*query.shape[:-1], key.shape[-2])
    # One pass over the scores for scale and mask; nothing of their size is kept for the backward pass.
    scores = torch.baddbmm(
        mask.expand(shape).flatten(0, 1),
        query.flatten(0, 1),
        key.flatten(0, 1).transpose(1, 2),
        alpha=1 / math.sqrt(query.shape[-1]),
    )
    return drop(scores.softmax(-1), dropout, True).view(shape) @ value


def project_heads(layer: nn.Linear, values: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """Several projections, laid out for batched products: each ``(heads, batch, frames, size / heads)``.

    Heads come first so that products with what all utterances share need no copies of it.
    """
    joint = layer(values).unflatten(-1, (parts, heads, -1))
    return joint.permute(2, 3, 0, 1, 4).contiguous().unbind(0)  # type: ignore[no-any-return]


def join_heads(values: Tensor) -> Tensor:
    """``(heads, batch, frames, dim)`` to ``(batch, frames, heads * dim)``."""
    return values.permute(1, 2, 0, 3).flatten(2)


class SelfAttention(nn.Module):
    """Self-attention of frames (Vaswani et al. 2017, section 3.2), with added, rotary or no positions.

    Args:
        size: Number of dimensions.
        heads: Attention heads.
        dropout: On attention weights.
        scheme: ``rope`` rotates queries and keys; ``abs_pos`` and ``none`` need nothing here.
    """

    def __init__(self, size: int, heads: int, dropout: float, scheme: Scheme) -> None:
        super().__init__()
        check_heads(size, heads)
        self.heads = heads
        self.dropout = dropout
        self.rotary = scheme == "rope"
        self.project = FusedLinear(size, size, 3)
        self.out = Linear(size, size)

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        query, key, value = project_heads(self.project, values, 3, self.heads)
        if self.rotary:
            assert context.positions is not None
            query, key = rotate(query, context.positions), rotate(key, context.positions)
        dropout = self.dropout if self.training else 0.0
        return self.out(join_heads(attend(query, key, value, context.keys, dropout)))


class RelativeSelfAttention(nn.Module):
    """Self-attention with positions relative to the query (Dai et al. 2019, section 3.3, terms a to d).

    Scores are ``(q + u) k + (q + v) r`` with learnt ``u`` and ``v`` and projected sinusoids ``r`` of the
    distance back from query to key, negative for later keys; the second term is the additive mask of the
    fused attention.

    Args:
        size: Number of dimensions.
        heads: Attention heads.
        dropout: On attention weights.
    """

    matrix_parameters = ("content_bias", "position_bias")

    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        check_heads(size, heads)
        self.heads = heads
        self.dropout = dropout
        self.project = FusedLinear(size, size, 3)
        self.project_positions = Linear(size, size, bias=False)
        self.content_bias = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, size // heads)))
        self.position_bias = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, size // heads)))
        self.out = Linear(size, size)

    def forward(self, values: Tensor, context: BlockContext) -> Tensor:
        """``(batch, frames, size)`` to the same shape."""
        assert context.positions is not None
        query, key, value = project_heads(self.project, values, 3, self.heads)
        distances = self.project_positions(context.positions).unflatten(-1, (self.heads, -1))
        # Scaled here, where it is small, as the fused attention scales the other term.
        distances = distances.transpose(0, 1) / math.sqrt(query.shape[-1])
        shifted = position_scores(query + self.position_bias[:, None, None], distances)
        by_content = (query + self.content_bias[:, None, None]).to(value.dtype)
        # Padded keys get no weight, hence no gradient: a sum does for the mask.
        bias = shifted + torch.where(context.keys, 0.0, -math.inf).to(shifted.dtype)
        dropout = self.dropout if self.training else 0.0
        return self.out(join_heads(attend(by_content, key, value, bias, dropout)))


def self_attention(size: int, heads: int, dropout: float, scheme: Scheme) -> nn.Module:
    """Self-attention for a position scheme."""
    if scheme == "rel_pos":
        return RelativeSelfAttention(size, heads, dropout)
    return SelfAttention(size, heads, dropout, scheme)
