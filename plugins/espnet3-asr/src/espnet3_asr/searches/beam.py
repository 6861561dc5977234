"""The beam of the joint search: all hypotheses of a batch, one token per step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from espnet3_asr.searches.config import JointBeamConfig
from espnet3_asr.searches.ctc_prefix_scorer import CTCPrefixScorer
from espnet3_asr.searches.encoding import Utterances
from espnet3_asr.searches.history import History
from espnet3_asr.searches.scorer import Scorer

_BLANK = 0
_HOPELESS = 10 * math.log(10)
_LENGTHS_IN_A_ROW = 3
_LEAVE = 4
"""Done utterances leave the batch when they are at least this part of it."""


class Limits(NamedTuple):
    """Fewest and most tokens of each utterance, ``(batch,)``; ``longest`` is the largest of the latter."""

    fewest: Tensor
    most: Tensor
    longest: int

    @classmethod
    def of(cls, config: JointBeamConfig, utterances: Utterances, *, per_frame: bool) -> Limits:
        """Limits by the ratios of the configuration; ``per_frame`` caps them at the number of frames."""
        most, fewest = [], []
        for frames in utterances.frames:
            upper = _tokens(config.max_length_ratio, frames) if config.max_length_ratio else frames
            upper = max(upper, 1) if frames else 0
            upper = min(upper, frames) if per_frame else upper
            most.append(upper)
            fewest.append(min(_tokens(config.min_length_ratio, frames), upper))
        device = utterances.lengths.device
        return cls(torch.tensor(fewest, device=device), torch.tensor(most, device=device), max(most))


def _tokens(ratio: float, frames: int) -> int:
    return int(-ratio) if ratio < 0 else int(ratio * frames)


class _Choice(NamedTuple):
    """The best extensions: ``(utterances, width)`` each."""

    scores: Tensor
    partial: Tensor
    parents: Tensor
    tokens: Tensor


class Beam:
    """State of the search; :meth:`advance` until it says that it is done, then :meth:`nbest`.

    A step keeps the ``beam_size`` best extensions of an utterance's hypotheses. Those that end it leave the
    beam for a list of finished ones. An utterance is done when nothing is left in its beam, when nothing
    in it can still reach the n-best list, or by end detection (Watanabe et al. 2017, equation 50); done
    utterances leave the batch.

    Args:
        config: Options of the search.
        scorers: Decoder and language models.
        ctc: CTC prefix probabilities, or None.
        utterances: Encoded batch.
        limits: Lengths.
        boundary: Id of the token that starts and ends sentences.
    """

    def __init__(
        self,
        config: JointBeamConfig,
        scorers: Sequence[Scorer],
        ctc: CTCPrefixScorer | None,
        utterances: Utterances,
        limits: Limits,
        boundary: int,
    ) -> None:
        batch, device, dtype = len(utterances.frames), utterances.ctc.device, utterances.ctc.dtype
        self._config = config
        self._scorers = scorers
        self._ctc = ctc
        self._limits = limits
        self._boundary = boundary
        self._size = utterances.ctc.shape[2]
        self._states: list[Any] = [scorer.start(utterances) for scorer in scorers]
        self._prefixes = ctc.start() if ctc is not None else None
        self._utterances = torch.arange(batch, device=device)
        self._partial = torch.zeros(batch, 1, device=device, dtype=dtype)
        self._tokens = torch.full((batch,), boundary, device=device)
        self._history = History(batch)
        self._step = 0
        self._streak = torch.zeros(batch, dtype=torch.long, device=device)
        self._finished = torch.full((batch, config.nbest), -torch.inf, device=device, dtype=dtype)
        self._finished_steps = torch.zeros((batch, config.nbest), dtype=torch.long, device=device)
        self._finished_columns = torch.zeros_like(self._finished_steps)
        self._monotone = all(scorer.weight >= 0 for scorer in scorers)

    def advance(self) -> bool:
        """Extend all hypotheses by a token; False when every utterance is done."""
        choice = self._choose()
        ended = choice.tokens == self._boundary
        newly = choice.scores.masked_fill(~ended, -torch.inf)
        self._history.add(choice.parents, choice.tokens.masked_fill(ended, -1), self._utterances)
        self._finish(newly)
        self._step += 1
        running = choice.scores.masked_fill(ended, -torch.inf)
        # The one place where the host waits for the device.
        done = self._done(running, newly)
        over = done.tolist()
        if all(over):
            return False
        partial = choice.partial.masked_fill(ended | done.unsqueeze(1), -torch.inf)
        self._go_on(choice._replace(partial=partial), over)
        return True

    def nbest(self) -> list[list[tuple[list[int], float]]]:
        """Token ids and scores of the finished hypotheses, best first; at least one per utterance."""
        texts = self._history.texts(self._finished_steps, self._finished_columns)
        lists = []
        for row, scores in zip(texts, self._finished.tolist(), strict=True):
            found = [(ids, score) for ids, score in zip(row, scores, strict=True) if score > -math.inf]
            lists.append(found or [([], 0.0)])
        return lists

    def _choose(self) -> _Choice:
        """The ``beam_size`` best extensions of each utterance."""
        scores, partial, candidates = self._scores()
        rows, width = self._partial.shape
        count = scores.shape[1]
        kept = min(self._config.beam_size, width * count)
        best, flat = scores.view(rows, -1).topk(kept, 1)
        parents = torch.div(flat, count, rounding_mode="floor")
        tokens = flat - parents * count if candidates is None else candidates.view(rows, -1).gather(1, flat)
        return _Choice(best, partial.view(rows, -1).gather(1, flat), parents, tokens)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor | None]:
        """Scores of extensions with and without CTC, and which tokens they add (None: all, in order)."""
        partial = self._partial.view(-1, 1).expand(-1, self._size).clone()
        for number, scorer in enumerate(self._scorers):
            log_probs, self._states[number] = scorer.score(self._tokens, self._states[number])
            partial.add_(log_probs, alpha=scorer.weight)
        if self._config.length_bonus:
            partial += self._config.length_bonus
            partial[:, self._boundary] -= self._config.length_bonus
        self._forbid(partial)
        if self._ctc is None or self._prefixes is None:
            return partial, partial, None
        candidates = self._candidates(partial)
        prefix = self._ctc.score(self._prefixes, candidates)
        complete = self._ctc.complete(self._prefixes).to(prefix.dtype)
        if candidates is None:
            prefix[:, self._boundary] = complete
        else:
            partial = partial.gather(1, candidates)
            prefix = torch.where(candidates == self._boundary, complete.unsqueeze(1), prefix)
        return partial + self._config.ctc_weight * prefix, partial, candidates

    def _forbid(self, partial: Tensor) -> None:
        """Rule out blanks, too early ends, and anything else than the end at the greatest length."""
        rows = self._partial.shape[0]
        table = partial.view(rows, -1, self._size)
        ends = table[:, :, self._boundary]
        too_short = (self._limits.fewest > self._step).unsqueeze(1)
        forced = ends.clone()
        full = (self._limits.most <= self._step)[:, None, None]
        table.masked_fill_(full, -torch.inf)
        table[:, :, _BLANK] = -torch.inf
        table[:, :, self._boundary] = forced.masked_fill(too_short, -torch.inf)

    def _candidates(self, partial: Tensor) -> Tensor | None:
        """The tokens that CTC scores: the best of the other scorers and the end; None for all."""
        count = self._config.pre_beam
        if count is None or not self._scorers or 2 * (count + 1) >= self._size:
            return None
        others = partial.clone()
        others[:, self._boundary] = torch.inf
        return others.topk(count + 1, 1).indices

    def _finish(self, newly: Tensor) -> None:
        """Put hypotheses that ended in this step on their utterances' lists."""
        utterances, size = self._utterances, self._config.nbest
        columns = torch.arange(newly.shape[1], device=newly.device).expand_as(newly)
        scores = torch.cat([self._finished[utterances], newly], 1)
        self._finished[utterances], index = scores.topk(size, 1)
        places = torch.cat([self._finished_columns[utterances], columns], 1)
        self._finished_columns[utterances] = places.gather(1, index)
        steps = torch.cat([self._finished_steps[utterances], torch.full_like(columns, self._step + 1)], 1)
        self._finished_steps[utterances] = steps.gather(1, index)

    def _done(self, running: Tensor, newly: Tensor) -> Tensor:
        """``(utterances,)`` whether an utterance's n-best list is final."""
        best_running = running.amax(1)
        finished = self._finished[self._utterances]
        done = best_running == -torch.inf
        if self._monotone:
            bonus = max(self._config.length_bonus, 0.0)
            reach = best_running + bonus * (self._limits.most - self._step).clamp(min=0)
            done |= reach <= finished[:, -1]
        if self._config.end_detection:
            best_new = newly.amax(1)
            hopeless = (best_new > -torch.inf) & (best_new < finished[:, 0] - _HOPELESS)
            self._streak = torch.where(hopeless, self._streak + 1, 0)
            done |= self._streak >= _LENGTHS_IN_A_ROW
        return done

    def _go_on(self, choice: _Choice, done: list[bool]) -> None:
        """Make the chosen extensions the hypotheses of the next step; utterances that are done may leave."""
        rows, width = self._partial.shape
        first = torch.arange(rows, device=choice.parents.device).unsqueeze(1) * width
        index, tokens, partial = choice.parents + first, choice.tokens, choice.partial
        # Leaving copies the tables of those that stay, so that they go in groups.
        shrinks = sum(done) * _LEAVE >= rows
        if shrinks:
            keep = torch.tensor([row for row, over in enumerate(done) if not over], device=index.device)
            index, tokens, partial = index[keep], tokens[keep], partial[keep]
            self._utterances, self._streak = self._utterances[keep], self._streak[keep]
            self._limits = Limits(self._limits.fewest[keep], self._limits.most[keep], self._limits.longest)
            if self._ctc is not None:
                self._ctc.keep(keep)
        index, self._tokens, self._partial = index.flatten(), tokens.flatten(), partial
        if self._ctc is not None and self._prefixes is not None:
            self._prefixes = self._ctc.extend(self._prefixes, index, self._tokens)
        if shrinks or width > 1 or choice.parents.shape[1] > 1:
            self._states = [
                scorer.reorder(state, index)
                for scorer, state in zip(self._scorers, self._states, strict=True)
            ]
