"""CTC probabilities of texts that begin with a prefix, for all hypotheses and next tokens at once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_IMPOSSIBLE = -1e3
"""Floor of log-probabilities; keeps differences of cumulative sums finite."""


class PrefixState(NamedTuple):
    """Forward variables of hypotheses; frame 0 is the moment before the first frame.

    Attributes:
        token: ``(hypotheses, frames + 1)`` log-probability that the prefix is complete, ending in its token.
        blank: ``(hypotheses, frames + 1)`` the same, ending in a blank.
        last: ``(hypotheses,)`` last token of the prefix, -1 for none.
    """

    token: Tensor
    blank: Tensor
    last: Tensor


class CTCPrefixScorer:
    """Prefix probabilities (Watanabe et al. 2017, "Hybrid CTC/Attention Architecture", algorithm 2).

    Two things make it fast. The probability of a prefix extended by a token needs only the forward
    variables of the prefix: summed over frames it is one matrix product for all hypotheses and tokens. And
    the forward variables of the extensions that are kept follow linear recurrences over time, whose
    solution is a cumulative sum; in the log domain and double precision it needs no loop over frames.

    Hypotheses stand in rows, the same number for each utterance, in the order of the utterances.

    Args:
        log_probs: ``(batch, frames, vocabulary)`` CTC log-probabilities.
        lengths: ``(batch,)`` valid frames.
        blank: Id of the blank.
    """

    def __init__(self, log_probs: Tensor, lengths: Tensor, blank: int = 0) -> None:
        frames = torch.arange(log_probs.shape[1], device=log_probs.device)
        padding = frames >= lengths.unsqueeze(1)
        # Padding is certain to be blank: totals at its end are those at the last valid frame.
        log_probs = log_probs.clamp(min=_IMPOSSIBLE).masked_fill(padding.unsqueeze(2), _IMPOSSIBLE)
        blanks = log_probs[:, :, blank].masked_fill(padding, 0.0).double()
        self._log_probs = log_probs.transpose(1, 2).contiguous()
        self._blank_sums = functional.pad(blanks.cumsum(1), (1, 0))
        self._padding = padding
        self._probs = self._log_probs.exp()

    def start(self) -> PrefixState:
        """One empty prefix per utterance."""
        sums = self._blank_sums
        return PrefixState(
            torch.full_like(sums, -torch.inf), sums, torch.full((len(sums),), -1, device=sums.device)
        )

    def keep(self, utterances: Tensor) -> None:
        """Go on with these utterances only; states must be reordered alike."""
        self._log_probs = self._log_probs[utterances]
        self._blank_sums = self._blank_sums[utterances]
        self._probs = self._probs[utterances]
        self._padding = self._padding[utterances]

    def complete(self, state: PrefixState) -> Tensor:
        """``(hypotheses,)`` log-probability that the prefix is the whole text."""
        return torch.logaddexp(state.token[:, -1], state.blank[:, -1])

    def score(self, state: PrefixState, candidates: Tensor | None = None) -> Tensor:
        """Log-probability of all texts that begin with the prefix and a next token (equation 46).

        Args:
            state: Of the prefixes.
            candidates: ``(hypotheses, n)`` next tokens; None for the whole vocabulary.

        Returns:
            ``(hypotheses, n)``, or ``(hypotheses, vocabulary)``. The blank's value means nothing.
        """
        utterances, size, frames = self._probs.shape
        # No token follows in padding: what stands there must not decide which sums are too small.
        blank = self._without_padding(state.blank)
        entries = torch.logaddexp(self._without_padding(state.token), blank)
        top = entries.amax(1, keepdim=True)
        shift = top.clamp(min=torch.finfo(top.dtype).min)
        weights = (entries - shift).exp().to(self._probs.dtype)
        again = (blank - shift).exp().to(self._probs.dtype)
        last = state.last.clamp(min=0).unsqueeze(1)
        with torch.autocast(weights.device.type, enabled=False):
            if candidates is None:
                grouped = weights.view(utterances, -1, frames)
                sums = torch.bmm(grouped, self._probs.transpose(1, 2)).view(-1, size)
                repeated = (again * self._rows(self._probs, last).squeeze(1)).sum(1, keepdim=True)
                sums = sums.scatter(1, last, repeated)
            else:
                probs = self._rows(self._probs, candidates)
                both = torch.stack([weights, again], 2)
                plain, repeated = torch.bmm(probs, both).unbind(2)
                sums = torch.where(candidates == state.last.unsqueeze(1), repeated, plain)
        return sums.clamp(min=torch.finfo(sums.dtype).tiny).log() + top.to(sums.dtype)

    def extend(self, state: PrefixState, index: Tensor, tokens: Tensor) -> PrefixState:
        """Forward variables of the hypotheses ``index``, each extended by a token.

        Args:
            state: Of all hypotheses.
            index: ``(new hypotheses,)`` rows of the state; utterances must have been kept alike.
            tokens: ``(new hypotheses,)``.
        """
        token, blank, last = state.token[index], state.blank[index], state.last[index]
        before = torch.where((tokens == last).unsqueeze(1), blank, torch.logaddexp(token, blank))[:, :-1]
        emitted = self._rows(self._log_probs, tokens.unsqueeze(1)).squeeze(1).double()
        sums = functional.pad(emitted.cumsum(1), (1, 0))
        # token[t] = (token[t-1] + before[t-1]) p[t], solved with the running product P of p:
        # token[t] = P[t] * sum of before[s-1] / P[s-1] over s up to t.
        token = sums[:, 1:] + torch.logcumsumexp(before - sums[:, :-1], 1)
        width = len(tokens) // len(self._padding)
        token = token.masked_fill(self._padding.repeat_interleave(width, 0), -torch.inf)
        token = functional.pad(token, (1, 0), value=-torch.inf)
        blanks = self._blank_sums.repeat_interleave(width, 0)
        blank = blanks[:, 1:] + torch.logcumsumexp(token[:, :-1] - blanks[:, :-1], 1)
        return PrefixState(token, functional.pad(blank, (1, 0), value=-torch.inf), tokens)

    def _without_padding(self, forward: Tensor) -> Tensor:
        """Forward variables before each frame, ``(hypotheses, frames)``; impossible before padding."""
        grouped = forward[:, :-1].unflatten(0, (len(self._padding), -1))
        return grouped.masked_fill(self._padding.unsqueeze(1), -torch.inf).flatten(0, 1)

    def _rows(self, table: Tensor, tokens: Tensor) -> Tensor:
        """``(batch, vocabulary, frames)`` and ``(hypotheses, n)`` to ``(hypotheses, n, frames)``."""
        utterances, size, frames = table.shape
        width = len(tokens) // utterances
        first = torch.arange(utterances, device=table.device).repeat_interleave(width) * size
        flat = (tokens + first.unsqueeze(1)).flatten()
        return table.view(-1, frames).index_select(0, flat).view(*tokens.shape, frames)
