"""One token per character."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from espnet3_core.errors import UserError

from espnet3_asr.tokenizers.base import (
    BaseTokenizer,
    normalize_text,
    symbol_pattern,
)
from espnet3_asr.tokenizers.config import SPACE, CharTokenizerConfig


class CharTokenizer(BaseTokenizer):
    """Characters (Unicode code points) as tokens; the space between words is the token ``<space>``."""

    def __init__(self, config: CharTokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self._pattern = symbol_pattern(config.user_symbols)

    def normalize(self, text: str) -> str:
        """Unicode normalization and single spaces."""
        return normalize_text(text, self.config.unicode)

    def train(self, texts: Iterable[str]) -> None:
        """Collect the characters, most frequent first up to ``character_coverage``, stored in code order."""
        counts = Counter(symbol for text in texts for symbol in self._split(text))
        for symbol in self.config.user_symbols:
            counts.pop(symbol, None)
        if not counts:
            raise UserError("the tokenizer's training text is empty", hint="check the texts of dataset.train")
        kept = self._covering(counts)
        kept.discard(" ")
        self._set_tokens([SPACE, *self.config.user_symbols, *sorted(kept)])

    def extend(self, texts: Iterable[str]) -> None:
        """Add the characters that texts have and the vocabulary has not, at its end, in code order."""
        self._add(sorted({symbol for text in texts for symbol in self._split(text)} - {" "}))

    def _covering(self, counts: Counter[str]) -> set[str]:
        wanted = self.config.character_coverage * counts.total()
        kept: set[str] = set()
        covered = 0
        for symbol, count in sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])):
            # A rounding error of the product must not drop or add a character.
            if covered >= wanted - 1e-9 * counts.total():
                break
            kept.add(symbol)
            covered += count
        return kept

    def _split(self, text: str) -> list[str]:
        text = self.normalize(text)
        if self._pattern is None:
            return list(text)
        symbols: list[str] = []
        for position, part in enumerate(self._pattern.split(text)):
            symbols.extend([part] if position % 2 else part)
        return symbols

    def encode(self, text: str) -> list[int]:
        """Ids of the characters; unknown ones get ``unk_id``."""
        self._require_ready()
        ids = self._ids
        space = ids[SPACE]
        return [space if symbol == " " else ids.get(symbol, self.unk_id) for symbol in self._split(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the ids, with single spaces."""
        text = "".join(" " if self.tokens[i] == SPACE else self.tokens[i] for i in self._plain(ids))
        return " ".join(text.split())
