"""CTC forced alignment: at which frames a given text was spoken."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Alignment(NamedTuple):
    """The most probable CTC path of each text.

    Attributes:
        starts: ``(batch, tokens)`` first frame of each token.
        ends: ``(batch, tokens)`` frame after its last one.
        scores: ``(batch,)`` log-probability of the path; -inf where there are too few frames.
    """

    starts: Tensor
    ends: Tensor
    scores: Tensor


def forced_align(
    log_probs: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor, blank: int = 0
) -> Alignment:
    """Viterbi alignment over the states of CTC (Graves et al. 2006, section 4.1, with max for sum).

    The states of a text are its tokens with a blank before, between and after them. All states of all
    utterances advance together, frame by frame.

    Args:
        log_probs: ``(batch, frames, vocabulary)``.
        lengths: ``(batch,)`` valid frames.
        tokens: ``(batch, tokens)`` ids, padded with anything.
        token_lengths: ``(batch,)``.
        blank: Id of the blank.
    """
    states = _states(tokens.clamp(min=0), blank)
    allowed = torch.zeros_like(states, dtype=torch.bool)
    allowed[:, 3::2] = states[:, 3::2] != states[:, 1:-2:2]
    skip = torch.where(allowed, 0.0, -torch.inf).double()
    emissions = log_probs.gather(2, states.unsqueeze(1).expand(-1, log_probs.shape[1], -1)).double()
    # Two more columns on the left, from which no path comes, spare a case for the first two states.
    padded = emissions.new_full((len(states), states.shape[1] + 2), -torch.inf)
    padded[:, 2] = 0.0
    best, step, jump = padded[:, 2:], padded[:, 1:-1], padded[:, :-2]
    inside = torch.arange(log_probs.shape[1], device=log_probs.device)[:, None, None] < lengths[:, None]
    moves = []
    for frame in range(log_probs.shape[1]):
        reached, move = torch.stack([best, step, jump + skip]).max(0)
        moves.append(move)
        padded[:, 2:] = torch.where(inside[frame], reached + emissions[:, frame], best)
    taken = [*torch.stack(moves).mul_(inside)] if moves else []
    return _trace(best, taken, lengths, token_lengths, tokens.shape[1])


def _states(tokens: Tensor, blank: int) -> Tensor:
    states = tokens.new_full((len(tokens), 2 * tokens.shape[1] + 1), blank)
    states[:, 1::2] = tokens
    return states


def _trace(
    best: Tensor, moves: list[Tensor], lengths: Tensor, token_lengths: Tensor, tokens: int
) -> Alignment:
    final = 2 * token_lengths.unsqueeze(1)
    ends_in_token = torch.where(final > 0, best.gather(1, (final - 1).clamp(min=0)), -torch.inf)
    ends_in_blank = best.gather(1, final)
    state = torch.where(ends_in_token > ends_in_blank, final - 1, final)
    scores = torch.maximum(ends_in_token, ends_in_blank).squeeze(1)
    path = []
    for move in reversed(moves):
        path.append(state)
        state = (state - move.gather(1, state)).clamp(min=0)
    frames = torch.arange(len(path), device=best.device)
    visited = torch.cat([state.new_zeros(len(best), 0), *reversed(path)], 1)
    visited = visited.masked_fill(frames >= lengths.unsqueeze(1), 2 * tokens + 1).contiguous()
    wanted = (2 * torch.arange(tokens, device=best.device) + 1).expand(len(best), -1).contiguous()
    # The path never goes back, so that a state's frames are found by bisection.
    return Alignment(
        torch.searchsorted(visited, wanted), torch.searchsorted(visited, wanted, right=True), scores
    )
