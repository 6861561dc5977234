"""Phones of American English as tokens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from espnet3_tts.text import english
from espnet3_tts.text.base import TextFrontend
from espnet3_tts.text.config import SPACE, ArpabetConfig
from espnet3_tts.text.lexicon import PHONES, VOWELS, cmu_dictionary, load_lexicon, save_lexicon
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
    """Words by the CMU dictionary, others by rules; the dictionary is saved with the tokens.

    Args:
        config: Options.
    """

    def __init__(self, config: ArpabetConfig) -> None:
        spaces = (SPACE,) if config.word_boundaries else ()
        super().__init__(config, (*spaces, *config.punctuation, *inventory(config.stress)))
        self._pronouncer: Pronouncer | None = None

    @property
    def pronouncer(self) -> Pronouncer:
        """Words to phones; reads the dictionary when it is first wanted."""
        if self._pronouncer is None:
            self._pronouncer = Pronouncer(cmu_dictionary())
        return self._pronouncer

    def facts(self) -> dict[str, Any]:
        """Versions of the normalisation and of the rules."""
        normal = {"english": english.VERSION} if self.config.normalization == "english" else {}
        return {**normal, "pronunciation": Pronouncer.version}

    def symbols(self, text: str) -> list[str]:
        """Phones of the words."""
        expand = english.normalize_english if self.config.normalization == "english" else str
        found: list[str] = []
        for part in self.parts(speakable(text, self.config.unknown, expand)):
            if part in self.config.punctuation:
                found.append(part)
                continue
            if found and self.config.word_boundaries:
                found.append(SPACE)
            phones = self.pronouncer(part)
            found.extend(phones if self.config.stress else (phone.rstrip("012") for phone in phones))
        return found

    def save(self, directory: Path) -> None:
        """Write the inventory and the dictionary."""
        super().save(directory)
        save_lexicon(self.pronouncer.lexicon, directory)

    def load(self, directory: Path) -> None:
        """Read what :meth:`save` wrote; an installed dictionary is not asked."""
        super().load(directory)
        self._pronouncer = Pronouncer(load_lexicon(directory))
