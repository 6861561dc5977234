"""Phones of American English as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError

from espnet3_tts.text import english, pronounce
from espnet3_tts.text.base import TextFrontend
from espnet3_tts.text.config import SPACE, ArpabetConfig
from espnet3_tts.text.letter_to_sound import LetterToSound
from espnet3_tts.text.lexicon import (
    PHONES,
    VOWELS,
    Lexicon,
    cmu_dictionary,
    load_lexicon,
    save_lexicon,
)
from espnet3_tts.text.pronounce import Pronouncer
from espnet3_tts.text.spelling import speakable


def inventory(stress: bool) -> Iterator[str]:
    """Phones, vowels with their stress."""
    for phone in PHONES:
        if stress and phone in VOWELS:
            yield from (f"{phone}{level}" for level in range(3))
        else:
            yield phone


class Arpabet(TextFrontend):
    """Words by a dictionary, others by rules that are learned from it; both are saved with the tokens.

    Args:
        config: Options.
        lexicon: Pronunciations; None for the CMU dictionary.
    """

    def __init__(self, config: ArpabetConfig, lexicon: Lexicon | None = None) -> None:
        spaces = (SPACE,) if config.word_boundaries else ()
        super().__init__(config, (*spaces, *config.punctuation, *inventory(config.stress)))
        self._lexicon = lexicon
        self._pronouncer: Pronouncer | None = None

    @property
    def pronouncer(self) -> Pronouncer:
        """Words to phones.

        Raises:
            UserError: The rules have not been learned yet.
        """
        if self._pronouncer is None:
            raise UserError(
                "tts/arpabet has no pronunciations yet", hint="run the stage train_tokenizer first"
            )
        return self._pronouncer

    def train(self, texts: Iterable[str]) -> None:
        """Learn letters to sounds from the dictionary, and see that the texts can be spoken."""
        lexicon = cmu_dictionary() if self._lexicon is None else self._lexicon
        self._pronouncer = Pronouncer(lexicon, LetterToSound.learn(lexicon))
        super().train(texts)

    def facts(self) -> dict[str, Any]:
        """Versions of the normalisation and of the rules."""
        normal = {"english": english.VERSION} if self.config.normalization == "english" else {}
        return {**normal, "pronunciation": pronounce.VERSION}

    def symbols(self, text: str) -> list[str]:
        """Phones of the words."""
        expand = english.normalize_english if self.config.normalization == "english" else str
        parts = list(self.parts(speakable(text, self.config.unknown, expand)))
        found: list[str] = []
        for place, part in enumerate(parts):
            if part in self.config.punctuation:
                found.append(part)
                continue
            phones = self.pronouncer.letter(part) if _is_letter(parts, place) else self.pronouncer(part)
            if found and phones and self.config.word_boundaries:
                found.append(SPACE)
            found.extend(phones if self.config.stress else (phone.rstrip("012") for phone in phones))
        return found

    def save(self, directory: Path) -> None:
        """Write the inventory, the dictionary and the rules."""
        super().save(directory)
        save_lexicon(self.pronouncer.lexicon, directory)
        self.pronouncer.letters.save(directory)

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote; an installed dictionary is not asked."""
        super().load(directory)
        self._pronouncer = Pronouncer(load_lexicon(directory), LetterToSound.load(directory))


def _is_letter(parts: Sequence[str], place: int) -> bool:
    """Whether a capital A is a letter, as in "A M", and no article: other letters stand beside it."""
    beside = (parts[place - 1] if place else "", parts[place + 1] if place + 1 < len(parts) else "")
    return parts[place] == "A" and any(len(part) == 1 and part.isupper() and part != "I" for part in beside)
