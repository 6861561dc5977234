"""The best CTC path that spells words of a lexicon."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from espnet3_core.errors import UserError
from torch import Tensor

from espnet3_asr.searches.config import CTCLexiconConfig
from espnet3_asr.searches.ctc_greedy import collapse
from espnet3_asr.searches.encoding import encode
from espnet3_asr.searches.results import result, span_seconds

_SMALLEST_PRIOR = 1e-5
"""Tokens that never occurred in training are not raised without bound."""


class CTCLexicon:
    """Viterbi decoding over a loop of words (Ney 1984, one-stage algorithm; CTC: Graves et al. 2006).

    Frame by frame for all utterances and all states of all words together. Memory is
    ``frames * batch * states`` numbers, two states per unit: meant for vocabularies of up to some thousand
    words.

    With ``prior_scale``, posteriors divided by (a power of) priors stand for likelihoods, as in hybrids of
    neural networks and hidden Markov models (Bourlard and Morgan 1994; for CTC: Miao et al. 2015, "EESEN").
    A word is then not preferred for having frequent units, nor silence for being frequent.

    Args:
        config: Options.
        model: A model with ``encode``, ``ctc.log_probs``, ``sample_rate`` and ``frame_seconds``.
        tokenizer: Has ``spellings``: words to unit ids (``asr/lexicon``).
        device: Where to compute; None for where the model is.

    Raises:
        UserError: The tokenizer has no lexicon.
    """

    def __init__(self, config: CTCLexiconConfig, *, model: Any, tokenizer: Any, device: Any = None) -> None:
        if not hasattr(tokenizer, "spellings"):
            raise UserError(
                "search asr/ctc_lexicon needs a tokenizer with a lexicon",
                hint="train with tokenizer.name=asr/lexicon, or search by asr/ctc_greedy",
            )
        self.config = config
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.device = device
        self.graph = WordLoop(tokenizer.spellings.values())
        self.log_prior = _log_prior(model) if config.prior_scale else None

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """One result per utterance; ``score`` is the best path's log-probability, scaled priors taken off."""
        utterances = encode(self.model, batch, self.device)
        found = []
        ctc = utterances.ctc
        if self.log_prior is not None:
            ctc = ctc - self.config.prior_scale * self.log_prior.to(ctc)
        paths = self.graph.best_paths(ctc, utterances.frames)
        for row, (path, score) in enumerate(paths):
            ids, runs = collapse(path)
            spans = span_seconds(runs, utterances.frame_seconds, utterances.durations[row])
            found.append(result(self.tokenizer, [(ids, score)], spans if self.config.timestamps else None))
        return found


def _log_prior(model: Any) -> Tensor:
    """Logarithms of the mean posteriors in training, ``(vocabulary,)``."""
    prior: Tensor | None = getattr(model.ctc, "prior", None)
    if prior is None:
        raise UserError(
            "search asr/ctc_lexicon: prior_scale needs the priors of the model's tokens, and it has none",
            hint="train with model.ctc_prior=true, or set prior_scale to 0",
        )
    return prior.clamp(min=_SMALLEST_PRIOR).log()


class WordLoop:
    """States of all words: state 0 is the blank between words; a word has its units with a blank between.

    Args:
        spellings: Unit ids of each word.
    """

    def __init__(self, spellings: Iterable[Sequence[int]]) -> None:
        units, places, counts = [0], [0], [1]
        for spelling in spellings:
            for place, unit in enumerate(spelling):
                units += [unit] if place == 0 else [0, unit]
            size = 2 * len(spelling) - 1
            places += range(size)
            counts += [size] * size
        self.units = torch.tensor(units)
        place, count = torch.tensor(places), torch.tensor(counts)
        state = torch.arange(len(units))
        self.starts = state[(place == 0) & (state > 0)]
        self.ends = state[(place == count - 1) & (state > 0)]
        self.continues = place > 0
        before = self.units[(state - 2).clamp(min=0)]
        # The blank between two units may be left out unless they are the same.
        self.skips = (place > 1) & (self.units != 0) & (self.units != before)
        # Nor can a word follow another directly that ends in the unit it starts with.
        self.meets = self.units[self.starts].unsqueeze(1) == self.units[self.ends]

    def best_paths(self, ctc: Tensor, frames: Sequence[int]) -> list[tuple[np.ndarray, float]]:
        """The best path of each utterance, as the token of each frame, and its log-probability.

        Args:
            ctc: ``(batch, frames, vocabulary)`` log-probabilities.
            frames: Valid frames of each utterance.
        """
        emitted = ctc.cpu().double()[:, :, self.units]
        score = torch.full(emitted[:, 0].shape, -torch.inf, dtype=torch.float64)
        score[:, 0] = 0.0  # before the first frame, as if in the blank between words
        scores, origins = [score], []
        for frame in range(max(frames, default=0)):
            score, origin = self._step(score)
            score = score + emitted[:, frame]
            scores.append(score)
            origins.append(origin)
        return [self._trace(row, count, scores, origins) for row, count in enumerate(frames)]

    def _step(self, score: Tensor) -> tuple[Tensor, Tensor]:
        """Best score on the way into each state, and which state that way comes from: ``(batch, states)``."""
        state = torch.arange(len(self.units)).expand(score.shape)
        nothing = score.new_full((len(score), 2), -torch.inf)
        shifted = torch.cat([nothing, score], 1)
        ways = [
            (score, state),
            (shifted[:, 1:-1].masked_fill(~self.continues, -torch.inf), state - 1),
            (shifted[:, :-2].masked_fill(~self.skips, -torch.inf), state - 2),
        ]
        entered, origin = torch.full_like(score, -torch.inf), torch.zeros_like(state)
        ended, last = score[:, self.ends].max(1)
        entered[:, 0], origin[:, 0] = ended, self.ends[last]
        ended, last = score[:, None, self.ends].masked_fill(self.meets, -torch.inf).max(2)
        between = score[:, :1] >= ended
        entered[:, self.starts] = torch.where(between, score[:, :1], ended)
        origin[:, self.starts] = torch.where(between, 0, self.ends[last])
        ways.append((entered, origin))
        best, way = torch.stack([value for value, _ in ways]).max(0)
        return best, torch.stack([source for _, source in ways]).gather(0, way.unsqueeze(0)).squeeze(0)

    def _trace(
        self, row: int, count: int, scores: Sequence[Tensor], origins: Sequence[Tensor]
    ) -> tuple[np.ndarray, float]:
        """Back from the best state in which an utterance of ``count`` frames may end."""
        final = torch.cat([self.ends.new_zeros(1), self.ends])
        value, index = scores[count][row, final].max(0)
        state = int(final[index])
        path = np.zeros(count, np.int64)
        for frame in reversed(range(count)):
            path[frame] = self.units[state]
            state = int(origins[frame][row, state])
        return path, float(value)
