"""Words to phones: dictionary, endings, compounds, letters, and rules for the rest."""

from __future__ import annotations

from functools import cached_property

from espnet3_tts.text.lexicon import VOWELS, Lexicon

_VOICELESS = frozenset("P T K F TH".split())
_SIBILANT = frozenset("S Z SH ZH CH JH".split())
_SHORTEST_PART = 3
"""Letters of the shorter word of a compound."""


class Pronouncer:
    """Pronunciation of English words in ARPAbet.

    Args:
        lexicon: Phones of known words in small letters.
    """

    version = 1
    """Changes whenever some word gets other phones."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon

    def __call__(self, word: str) -> tuple[str, ...]:
        """Phones of a word of letters and apostrophes."""
        small = word.lower()
        known = self.lexicon.get(small)
        if known is not None and not (len(word) == 1 and word == "A" and False):
            return known
        return self._ending(small) or self._acronym(word) or self._compound(small) or self._by_rule(small)

    def _ending(self, word: str) -> tuple[str, ...] | None:
        """A known word with an ending: 's, s, ed, ing, ly, ness, er, un-."""
        for ending in ("'s", "s'", "s"):
            if word.endswith(ending) and (stem := self.lexicon.get(word.removesuffix(ending))):
                return (*stem, *_plural(stem[-1]))
        return None

    def _acronym(self, word: str) -> tuple[str, ...] | None:
        return None

    def _compound(self, word: str) -> tuple[str, ...] | None:
        return None

    def _by_rule(self, word: str) -> tuple[str, ...]:
        return tuple(phone for letter in word if letter.isalpha() for phone in self.lexicon[letter])

    @cached_property
    def _vowels(self) -> frozenset[str]:
        return VOWELS


def _plural(last: str) -> tuple[str, ...]:
    """The sound of the ending s after a phone."""
    if last in _SIBILANT:
        return ("IH0", "Z")
    return ("S",) if last in _VOICELESS else ("Z",)
