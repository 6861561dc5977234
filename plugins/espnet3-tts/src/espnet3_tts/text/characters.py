"""Letters as tokens."""

from __future__ import annotations

from typing import Any

from espnet3_tts.text import english
from espnet3_tts.text.base import TextFrontend
from espnet3_tts.text.config import SPACE, CharactersConfig
from espnet3_tts.text.spelling import APOSTROPHE, LETTERS, speakable


class Characters(TextFrontend):
    """Small letters, the apostrophe and the space between words."""

    def __init__(self, config: CharactersConfig) -> None:
        super().__init__(config, (SPACE, *config.punctuation, APOSTROPHE, *LETTERS))

    def facts(self) -> dict[str, Any]:
        """Version of the normalisation."""
        return {"english": english.VERSION} if self.config.normalization == "english" else {}

    def symbols(self, text: str) -> list[str]:
        """Letters of the words as they are spoken; marks follow their word without a space."""
        expand = english.normalize_english if self.config.normalization == "english" else str
        found: list[str] = []
        for part in self.parts(speakable(text, self.config.unknown, expand)):
            if part in self.config.punctuation:
                found.append(part)
                continue
            if found:
                found.append(SPACE)
            found.extend(part.lower())
        return found
