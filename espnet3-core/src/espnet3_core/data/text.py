"""Clean-up of text: case, Unicode form, punctuation, blanks."""

from __future__ import annotations

import unicodedata
from typing import Any

from espnet3_core.data.config import TextCaseConfig, TextCleanConfig
from espnet3_core.errors import UserError
from espnet3_core.protocols import Item


def _text(item: Item, field: str) -> str | None:
    value = item.get(field)
    if value is not None and not isinstance(value, str):
        raise UserError(f"its field {field!r} is {type(value).__name__}, and text is wanted")
    return value


class TextCase:
    """Lower or upper case. Items without the field stay as they are.

    Args:
        config: Which case, which field.
    """

    def __init__(self, config: TextCaseConfig | None = None) -> None:
        self.config = config or TextCaseConfig()

    def __call__(self, item: Item, rng: Any = None) -> Item:
        """Change the text field."""
        text = _text(item, self.config.field)
        if text is None:
            return item
        return {**item, self.config.field: text.lower() if self.config.case == "lower" else text.upper()}


class TextClean:
    """Unicode normalisation; punctuation and symbols become blanks; runs of blanks become one.

    >>> TextClean()({"text": "Hello,  world\\u2026 it's 5 o'clock!"})["text"]
    "Hello world it's 5 o'clock"

    Args:
        config: What is kept.
    """

    def __init__(self, config: TextCleanConfig | None = None) -> None:
        self.config = config or TextCleanConfig()

    def __call__(self, item: Item, rng: Any = None) -> Item:
        """Change the text field."""
        text = _text(item, self.config.field)
        if text is None:
            return item
        if self.config.unicode != "none":
            text = unicodedata.normalize(self.config.unicode, text)
        if self.config.punctuation == "remove":
            text = "".join(" " if self._is_mark(letter) else letter for letter in text)
        return {**item, self.config.field: " ".join(text.split())}

    def _is_mark(self, letter: str) -> bool:
        return unicodedata.category(letter)[0] in "PS" and letter not in self.config.keep
