"""Characters of a text that can be spoken, and what becomes of the others."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Callable
from typing import Literal

from espnet3_core.errors import UserError

_log = logging.getLogger(__name__)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
APOSTROPHE = "'"
Policy = Literal["skip", "spell", "stop"]

_SAME = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u201b": "'", "`": "'", "\u2026": "...", "\u2032": "'",
        "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": " - ", "\u2014": " - ", "\u2015": " - ",
        "\u00ab": '"', "\u00bb": '"', "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u00df": "ss",
        "\u00e6": "ae", "\u00c6": "Ae", "\u0153": "oe", "\u0152": "Oe", "\u00f8": "o", "\u00d8": "O",
        "\u0142": "l", "\u0141": "L", "\u0131": "i", "\u00ad": None, "\u200b": None, "\ufeff": None,
    }
)  # fmt: skip
_SILENT = '"()[]{}|\\^'
"""Marks that separate words and are never spoken."""


def plain(text: str) -> str:
    """Typographic marks as ASCII ones, compatibility forms resolved, Latin letters without their accents.

    >>> plain("“Café” – l’été…")
    '"Cafe" - l\\'ete...'
    """
    # Fractions such as U+00BD stay for the normaliser, which knows their names.
    text = "".join(
        c if c in "\u00bc\u00bd\u00be\u00b0" else unicodedata.normalize("NFKC", c.translate(_SAME))
        for c in text
    )
    kept: list[str] = []
    for character in unicodedata.normalize("NFD", text):
        if unicodedata.combining(character) and kept and kept[-1].lower() in LETTERS:
            continue
        kept.append(character)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def speakable(text: str, policy: Policy, expand: Callable[[str], str]) -> str:
    """A text of letters, apostrophes, spaces and punctuation only.

    Args:
        text: Any text.
        policy: What to do with other characters.
        expand: Writes numbers, symbols and abbreviations out in words.

    Raises:
        UserError: The policy is ``stop``, and there are others; all are named.
    """
    text = expand(plain(text)).translate(str.maketrans(_SILENT, " " * len(_SILENT)))
    allowed = set(LETTERS + LETTERS.upper() + "' .,?!;:-")
    others = dict.fromkeys(character for character in text if character not in allowed)
    if not others:
        return text
    named = ", ".join(map(name_of, others))
    if policy == "stop":
        raise UserError(
            f"characters that cannot be spoken: {named}",
            hint="correct the text, or set tokenizer.unknown to skip or spell",
        )
    if policy == "skip":
        _log.warning("left out of %r, because they cannot be spoken: %s", _short(text), named)
        return " ".join("".join(" " if c in others else c for c in text).split())
    return " ".join("".join(f" {spoken_name(c)} " if c in others else c for c in text).split())


def name_of(character: str) -> str:
    """A character as messages name it.

    >>> name_of("ж")
    "'ж' (U+0436 CYRILLIC SMALL LETTER ZHE)"
    """
    name = unicodedata.name(character, "")
    return f"{character!r} (U+{ord(character):04X}{' ' + name if name else ''})"


def spoken_name(character: str) -> str:
    """The Unicode name in words; of a letter only what tells it from others.

    >>> spoken_name("ж"), spoken_name("☃")
    ('zhe', 'snowman')
    """
    name = unicodedata.name(character, f"character {' '.join(f'{ord(character):x}')}").lower()
    letter = re.search(r"\bletter (.+)$", name)
    words = re.sub(r"[^a-z]+", " ", letter[1] if letter else name).split()
    return " ".join(words) or "unknown"


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}…"
