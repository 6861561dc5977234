"""One token per word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from espnet3_core.errors import UserError

from espnet3_asr.tokenizers.base import BaseTokenizer, normalize_text
from espnet3_asr.tokenizers.config import BLANK, BOUNDARY, SPECIAL_TOKENS, UNKNOWN, WordTokenizerConfig


class WordTokenizer(BaseTokenizer):
    """Words, separated by white space, as tokens."""

    def __init__(self, config: WordTokenizerConfig) -> None:
        super().__init__()
        self.config = config

    def normalize(self, text: str) -> str:
        """Unicode normalization and single spaces."""
        return normalize_text(text, self.config.unicode)

    def train(self, texts: Iterable[str]) -> None:
        """Collect the words, most frequent first up to ``vocab_size``, stored in alphabetical order."""
        counts = Counter(word for text in texts for word in self.normalize(text).split())
        # A transcript that spells a special token must not make a second one of that name.
        for symbol in (*self.config.user_symbols, BLANK, UNKNOWN, BOUNDARY):
            counts.pop(symbol, None)
        words = sorted(counts, key=lambda word: (-counts[word], word))
        words = [word for word in words if counts[word] >= self.config.min_count]
        if not words:
            raise UserError(
                f"no word of the tokenizer's training text occurs {self.config.min_count} times or more",
                hint="check the texts of dataset.train, or lower tokenizer.min_count",
            )
        if self.config.vocab_size is not None:
            words = words[: self.config.vocab_size - SPECIAL_TOKENS - len(self.config.user_symbols)]
        self._set_tokens([*self.config.user_symbols, *sorted(words)])

    def extend(self, texts: Iterable[str]) -> None:
        """Add the words that texts have and the vocabulary has not, at its end, in alphabetical order."""
        words = {word for text in texts for word in self.normalize(text).split()}
        self._add(sorted(words - {BLANK, UNKNOWN, BOUNDARY}))

    def encode(self, text: str) -> list[int]:
        """Ids of the words; unknown ones get ``unk_id``."""
        self._require_ready()
        special = (BLANK, BOUNDARY)
        return [
            self.unk_id if word in special else self._ids.get(word, self.unk_id)
            for word in self.normalize(text).split()
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The words, joined by spaces."""
        return " ".join(self.tokens[index] for index in self._plain(ids))
