"""Monotonic alignment search: the best way through tokens in order, none left out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from espnet3_core.errors import UserError
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

_LOWEST = -1e9


def monotonic_alignment(log_probs: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Durations of the most probable monotonic alignment (Kim et al. 2020, "Glow-TTS", algorithm 1).

    Each frame belongs to one token, each token has a frame at least, and tokens come in order. Among equally
    probable alignments the one whose tokens begin earliest is taken.

    Args:
        log_probs: ``(batch, frames, tokens)``, natural logarithms; values in padding do not count.
        tokens: ``(batch,)`` number of tokens.
        frames: ``(batch,)`` number of frames, none smaller than its number of tokens.

    Returns:
        ``(batch, tokens)`` int64 frames of each token; zero in padding.

    Raises:
        ValueError: An utterance has fewer frames than tokens.
    """
    if bool((frames < tokens).any()):
        raise ValueError("monotonic alignment needs a frame for each token")
    durations = _durations(
        log_probs.detach().cpu().double().numpy(), tokens.cpu().numpy(), frames.cpu().numpy()
    )
    return torch.from_numpy(durations).to(log_probs.device)


def check_frames(tokens: Tensor, frames: Tensor, ids: Sequence[str] = ()) -> None:
    """Refuse utterances that cannot be aligned.

    Args:
        tokens: ``(batch,)``.
        frames: ``(batch,)``.
        ids: Of the utterances, for the message.

    Raises:
        UserError: One has fewer frames than tokens.
    """
    short = (tokens > frames).nonzero().flatten().tolist()
    if short:
        row = short[0]
        name = f"utterance {ids[row]!r}: " if row < len(ids) else ""
        raise UserError(
            f"{name}{int(frames[row])} frames of audio for {int(tokens[row])} tokens of text",
            hint="correct its text or audio, or leave it out; `espnet3 data check` lists all such utterances "
            "of training and development data",
        )


def posteriors(log_probs: Tensor, tokens: Tensor, frames: Tensor) -> Tensor:
    """Probability of each token at each frame, given that the alignment is monotonic and leaves no token out.

    The forward-backward algorithm, whose result is the gradient of the logarithm of the sum over alignments.

    Args:
        log_probs: ``(batch, frames, tokens)``.
        tokens: ``(batch,)``.
        frames: ``(batch,)``, none smaller than its number of tokens.

    Returns:
        ``(batch, frames, tokens)`` float64, zero in padding.
    """
    with torch.inference_mode(False), torch.enable_grad():
        scores = log_probs.double().clone().requires_grad_()
        first = torch.full_like(scores[:, 0], _LOWEST)
        first[:, 0] = 0.0
        sums = [first + scores[:, 0]]
        for t in range(1, scores.shape[1]):
            moved = functional.pad(sums[-1], (1, -1), value=_LOWEST)
            sums.append(torch.logaddexp(sums[-1], moved) + scores[:, t])
        rows = torch.arange(len(scores), device=scores.device)
        total = torch.stack(sums, 1)[rows, frames - 1, tokens - 1].sum()
        return torch.autograd.grad(total, scores)[0]


def _durations(
    log_probs: NDArray[np.float64], tokens: NDArray[np.int64], frames: NDArray[np.int64]
) -> NDArray[np.int64]:
    """The search over all utterances together, token by token.

    With ``C[n, t]`` the sum of token ``n``'s log-probabilities before frame ``t``, the best score of an
    alignment that is at token ``n`` in frame ``t`` is ``C[n, t + 1]`` plus the maximum over frames ``s <=
    t``, in which the token may have begun, of ``best[n - 1, s - 1] - C[n, s]``: a running maximum over
    time, so that nothing is done frame by frame.
    """
    batch, longest, most = log_probs.shape
    rows = np.arange(batch)
    values = np.maximum(np.nan_to_num(log_probs, nan=_LOWEST), _LOWEST).transpose(2, 0, 1)
    sums = np.zeros((batch, longest + 1))
    entered = np.empty((most, batch, longest), np.int64)
    best = np.full((batch, longest), -np.inf)
    for n in range(most):
        np.cumsum(values[n], axis=1, out=sums[:, 1:])
        start = np.full((batch, longest), -np.inf)
        if n:
            start[:, 1:] = best[:, :-1] - sums[:, 1:-1]
        else:
            start[:, 0] = 0.0
        running = np.maximum.accumulate(start, axis=1)
        # The frame of the maximum so far: the last frame at which it rose.
        rose = running > np.pad(running[:, :-1], ((0, 0), (1, 0)), constant_values=-np.inf)
        entered[n] = np.maximum.accumulate(np.where(rose, np.arange(longest), 0), axis=1)
        best = running + sums[:, 1:]
    durations = np.zeros((batch, most), np.int64)
    end = frames.astype(np.int64)
    for n in range(most - 1, -1, -1):
        active = n < tokens
        begin = np.where(active, entered[n, rows, end - 1], end)
        durations[:, n] = end - begin
        end = begin
    return durations
