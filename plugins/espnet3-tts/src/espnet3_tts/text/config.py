"""Configurations of the text frontends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_core.errors import UserError

BLANK = "<blank>"
UNKNOWN = "<unk>"
BOUNDARY = "<sos/eos>"
SPACE = "<space>"
MARKS = ".,?!;:-"
"""Punctuation that can be a token."""


@dataclass(kw_only=True)
class FrontendConfig:
    """What all text frontends have."""

    punctuation: str = ".,?!;:"
    """Marks that become tokens, out of ``. , ? ! ; : -``; of several in a row the last counts. All others
    separate words and are not spoken; a dash between words counts as a comma. Empty for none."""
    unknown: Literal["skip", "spell", "stop"] = "stop"
    """What to do with characters that cannot be spoken: leave them out with a warning that names them, speak
    their Unicode names, or stop with an error that names them."""
    blank: Literal["none", "between"] = "none"
    """``between`` puts the token ``<blank>`` before, between and after all tokens (as VITS does)."""
    boundaries: bool = True
    """Begin and end with the token ``<sos/eos>``, to which silence at the edges can be aligned."""

    def __post_init__(self) -> None:
        wrong = sorted(set(self.punctuation) - set(MARKS))
        if wrong or len(set(self.punctuation)) != len(self.punctuation):
            raise UserError(
                f"punctuation: {self.punctuation!r} is not a choice of {MARKS!r}",
                hint="each mark once, without others",
            )


@dataclass(kw_only=True)
class CharactersConfig(FrontendConfig):
    """Letters of English text (``tts/characters``)."""

    normalization: Literal["english", "none"] = "english"
    """``english`` writes numbers, dates, money and abbreviations out in words; ``none`` for texts where that
    is done."""


@dataclass(kw_only=True)
class ArpabetConfig(FrontendConfig):
    """Phones of American English (``tts/arpabet``)."""

    normalization: Literal["english", "none"] = "english"
    """``english`` writes numbers, dates, money and abbreviations out in words; ``none`` for texts where that
    is done."""
    stress: bool = True
    """Whether vowels carry their stress: ``AH0``, ``AH1``, ``AH2``; without it ``AH``."""
    word_boundaries: bool = False
    """Whether a token ``<space>`` stands between words."""


@dataclass(kw_only=True)
class IpaConfig(FrontendConfig):
    """Phones of the International Phonetic Alphabet by espeak-ng (``tts/ipa``)."""

    voice: str = "en-us"
    """espeak-ng's language: ``en-us``, ``en-gb``, ``de``, ``fr-fr`` …"""
    word_boundaries: bool = True
    """Whether a token ``<space>`` stands between words."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unknown == "spell":
            raise UserError(
                "unknown: spell is for letters; sounds that no training text has cannot be spelled",
                hint="skip or stop",
            )
