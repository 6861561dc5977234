"""Words spelled in units that they share, such as phones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from espnet3_core.errors import UserError

from espnet3_asr.tokenizers.base import BaseTokenizer, normalize_text
from espnet3_asr.tokenizers.config import UNKNOWN, LexiconTokenizerConfig


class LexiconTokenizer(BaseTokenizer):
    """The units of a pronunciation lexicon as tokens.

    A model of few words learns from every word what it can use in others, and has to hear all of a word.
    The search ``asr/ctc_lexicon`` keeps to the lexicon's words; another one may find units that spell none.

    Args:
        config: The lexicon.
    """

    def __init__(self, config: LexiconTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self._units = {word: tuple(units.split()) for word, units in config.words.items()}
        self._words: dict[tuple[str, ...], str] = {}
        for word, units in self._units.items():
            self._words.setdefault(units, word)
        self._longest = max(map(len, self._words))

    @property
    def spellings(self) -> Mapping[str, tuple[int, ...]]:
        """Words to the ids of their units; of words with the same units the first."""
        self._require_ready()
        return {word: tuple(self._ids[unit] for unit in units) for units, word in self._words.items()}

    def normalize(self, text: str) -> str:
        """Unicode normalization and single spaces."""
        return normalize_text(text, self.config.unicode)

    def train(self, texts: Iterable[str]) -> None:
        """Take the units of the lexicon, in alphabetical order.

        Raises:
            UserError: The texts have words that are not in the lexicon.
        """
        unknown = sorted({word for text in texts for word in self.normalize(text).split()} - set(self._units))
        if unknown:
            raise UserError(
                f"{len(unknown)} words of the training text are not in the lexicon: {', '.join(unknown[:5])}",
                hint="add them to tokenizer.words",
            )
        self._set_tokens(sorted({unit for units in self._units.values() for unit in units}))

    def encode(self, text: str) -> list[int]:
        """Ids of the words' units; an unknown word gets ``unk_id``."""
        self._require_ready()
        ids: list[int] = []
        for word in self.normalize(text).split():
            ids.extend([self._ids[unit] for unit in self._units.get(word, ())] or [self.unk_id])
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """The fewest words that spell as many of the units as possible; ``<unk>`` for units in between."""
        units = tuple(self.tokens[index] for index in self._plain(ids))
        # Per number of units: how many are not spelled, how many words there are, and the last step.
        best: list[tuple[int, int, int]] = [(0, 0, 0)]
        for end in range(1, len(units) + 1):
            steps = [(best[-1][0] + 1, best[-1][1], 0)]
            for length in range(1, min(self._longest, end) + 1):
                if units[end - length : end] in self._words:
                    left, count, _ = best[end - length]
                    steps.append((left, count + 1, length))
            best.append(min(steps))
        found: list[str] = []
        end = len(units)
        while end:
            length = best[end][2]
            if length:
                found.append(self._words[units[end - length : end]])
            elif not found or found[-1] != UNKNOWN:
                found.append(UNKNOWN)
            end -= length or 1
        return " ".join(reversed(found))
