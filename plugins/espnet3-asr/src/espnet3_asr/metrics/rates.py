"""Word, character and token error rate."""

from __future__ import annotations

from espnet3_core.errors import UserError
from espnet3_core.protocols import Tokenizer

from espnet3_asr.metrics.alignment import Units
from espnet3_asr.metrics.config import CharacterErrorRateConfig, TokenErrorRateConfig, WordErrorRateConfig
from espnet3_asr.metrics.error_rate import ErrorRate

_VISIBLE_SPACE = "\u2423"


class WordErrorRate(ErrorRate):
    """Errors over words."""

    key = "wer"

    def __init__(self, config: WordErrorRateConfig) -> None:
        super().__init__(config)

    def units(self, text: str) -> list[str]:
        """Words."""
        return text.split()

    def spell(self, text: str) -> list[str]:
        """Words as they are."""
        return text.split()

    def word_of_unit(self, text: str) -> list[int]:
        """Each unit is a word."""
        return list(range(len(text.split())))


class CharacterErrorRate(ErrorRate):
    """Errors over characters."""

    key = "cer"

    def __init__(self, config: CharacterErrorRateConfig) -> None:
        super().__init__(config)
        self._spaces = config.spaces

    def units(self, text: str) -> Units:
        """Characters, with single spaces between words or none."""
        return (" " if self._spaces else "").join(text.split())

    def word_of_unit(self, text: str) -> list[int]:
        """The space after a word belongs to it."""
        words = text.split()
        last = len(words) - 1
        return [
            number
            for number, word in enumerate(words)
            for _ in range(len(word) + (self._spaces and number < last))
        ]

    def spell(self, text: str) -> list[str]:
        """Characters, the space visible."""
        return [_VISIBLE_SPACE if unit == " " else str(unit) for unit in self.units(text)]


class TokenErrorRate(ErrorRate):
    """Errors over the tokens of the experiment's tokenizer.

    Args:
        config: Normalizers and interval.
        tokenizer: The trained tokenizer.

    Raises:
        UserError: The experiment has no tokenizer.
    """

    key = "ter"

    def __init__(self, config: TokenErrorRateConfig, *, tokenizer: Tokenizer | None) -> None:
        super().__init__(config)
        if tokenizer is None:
            raise UserError(
                "asr/ter counts the experiment's tokens, and training.tokenizer is not set",
                hint="use asr/wer or asr/cer, or set training.tokenizer",
            )
        self._tokenizer = tokenizer

    def units(self, text: str) -> Units:
        """Token ids."""
        return self._tokenizer.encode(text)

    def spell(self, text: str) -> list[str]:
        """Tokens as the vocabulary spells them."""
        return [self._tokenizer.tokens[index] for index in self._tokenizer.encode(text)]
