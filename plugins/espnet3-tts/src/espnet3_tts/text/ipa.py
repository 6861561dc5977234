"""The International Phonetic Alphabet as tokens."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from espnet3_core.errors import UserError

from espnet3_tts.text import espeak
from espnet3_tts.text.base import TextFrontend
from espnet3_tts.text.config import BLANK, BOUNDARY, SPACE, UNKNOWN, IpaConfig
from espnet3_tts.text.spelling import name_of

_log = logging.getLogger(__name__)
_MARK = re.compile(r"[.,?!;:]+(?=\s|$)|\s-+\s|\u2026|[\u2013\u2014]")
"""Marks that end something; a point in a number does not."""


class Ipa(TextFrontend):
    """Characters of espeak-ng's transcription; which there are is learned from the training texts.

    espeak-ng writes numbers and abbreviations out itself. Signs of stress and length are tokens of their own.

    Args:
        config: Options.
    """

    trainable = True

    def __init__(self, config: IpaConfig) -> None:
        super().__init__(config, self._inventory(config, ()))

    @staticmethod
    def _inventory(config: IpaConfig, sounds: Iterable[str]) -> tuple[str, ...]:
        return (*((SPACE,) if config.word_boundaries else ()), *config.punctuation, *sorted(sounds))

    def facts(self) -> dict[str, Any]:
        """The voice, and espeak-ng's version."""
        return {"voice": self.config.voice, "espeak": espeak.version()}

    def train(self, texts: Iterable[str]) -> None:
        """Learn which sounds there are.

        Raises:
            UserError: There are no texts, or espeak-ng is not installed.
        """
        found = {symbol for text in texts for symbol in self._transcribed(text)}
        sounds = found - {SPACE, *self.config.punctuation}
        if not sounds:
            raise UserError("the training texts are empty", hint="check the texts of dataset.train")
        self._set_tokens((BLANK, UNKNOWN, *self._inventory(self.config, sounds), BOUNDARY))

    def accept(self, tokens: Sequence[str]) -> bool:
        """Take over saved tokens; what was learned stands between the marks and the boundary."""
        head = (BLANK, UNKNOWN, *self._inventory(self.config, ()))
        if tuple(tokens[: len(head)]) != head or tokens[-1] != BOUNDARY:
            return False
        self._set_tokens(tokens)
        return True

    def symbols(self, text: str) -> list[str]:
        """Sounds of the words; those that no training text had are left out with a warning, or an error."""
        found = list(self._transcribed(text))
        unknown = dict.fromkeys(symbol for symbol in found if symbol not in self._ids)
        if not unknown:
            return found
        named = ", ".join(map(name_of, unknown))
        if self.config.unknown == "stop":
            raise UserError(
                f"sounds that the training texts do not have: {named}",
                hint="change the text, or set tokenizer.unknown to skip",
            )
        _log.warning("left out of %r, because no training text has them: %s", text[:40], named)
        return [symbol for symbol in found if symbol in self._ids]

    def _transcribed(self, text: str) -> Iterator[str]:
        text = unicodedata.normalize("NFC", text)
        position, started = 0, False
        for start, end, mark in [*self._marks(text), (len(text), len(text), "")]:
            for word in espeak.phonemize(text[position:start], self.config.voice):
                if started and self.config.word_boundaries:
                    yield SPACE
                yield from unicodedata.normalize("NFD", word)
                started = True
            if mark and started:
                yield mark
            position = end

    def _marks(self, text: str) -> Iterator[tuple[int, int, str]]:
        for match in _MARK.finditer(text):
            mark = match[0].strip()[-1]
            mark = {"\u2026": ".", "-": ",", "\u2013": ",", "\u2014": ","}.get(mark, mark)
            yield match.start(), match.end(), mark if mark in self.config.punctuation else ""
