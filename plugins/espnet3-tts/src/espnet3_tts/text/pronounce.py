"""Words to phones: dictionary, endings, compounds, names of letters, and letters to sounds for the rest."""

from __future__ import annotations

from espnet3_tts.text.letter_to_sound import LetterToSound
from espnet3_tts.text.lexicon import Lexicon

VERSION = 1
"""Changes whenever some word gets other phones."""

_VOICELESS = frozenset(("P", "T", "K", "F", "TH"))
_SIBILANT = frozenset(("S", "Z", "SH", "ZH", "CH", "JH"))
_ENDINGS = {
    "ly": ("L", "IY0"),
    "ness": ("N", "AH0", "S"),
    "less": ("L", "AH0", "S"),
    "ful": ("F", "AH0", "L"),
    "ing": ("IH0", "NG"),
    "er": ("ER0",),
    "able": ("AH0", "B", "AH0", "L"),
    "ish": ("IH0", "SH"),
    "y": ("IY0",),
}
_LEAST_PART = 3
"""Letters of the shorter word of a compound, and of a stem."""
_LONGEST_ACRONYM = 5
_LETTER_A = ("EY1",)


class Pronouncer:
    """Pronunciation of English words in ARPAbet; of several pronunciations the dictionary's first.

    Args:
        lexicon: Phones of known words, in small letters.
        letters: Speaks words that cannot be put together from known ones.
    """

    def __init__(self, lexicon: Lexicon, letters: LetterToSound) -> None:
        self.lexicon = lexicon
        self.letters = letters

    def __call__(self, word: str) -> tuple[str, ...]:
        """Phones of a word of letters and apostrophes; none for apostrophes alone."""
        small = word.lower()
        bare = small.replace("'", "")
        return (
            self.lexicon.get(small)
            or self._with_s(small)
            or self._spelled(word)
            or self._with_ending(small)
            or self._compound(small)
            or self.lexicon.get(bare)
            or self.letters(bare)
        )

    def letter(self, letter: str) -> tuple[str, ...]:
        """The name of a letter."""
        return _LETTER_A if letter.lower() == "a" else self.lexicon[letter.lower()]

    def _with_s(self, word: str) -> tuple[str, ...] | None:
        """Plural, possessive, third person: of a known stem, and a possessive of any."""
        for ending in ("'s", "s'", "s"):
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < _LEAST_PART or (ending == "s" and stem.endswith("s")):
                continue
            phones = self.lexicon.get(stem) or (self(stem) if "'" in ending else None)
            if phones:
                return (*phones, *_sound_of_s(phones[-1]))
        return None

    def _spelled(self, word: str) -> tuple[str, ...] | None:
        """Names of the letters, of words in capitals (BBC) and of those without a vowel (hmm, mph)."""
        capitals = word.isupper() and 2 <= len(word) <= _LONGEST_ACRONYM
        if not word.isalpha() or not (capitals or set("aeiouy").isdisjoint(word.lower())):
            return None
        return tuple(phone for letter in word for phone in self.letter(letter))

    def _with_ending(self, word: str) -> tuple[str, ...] | None:
        """A known word, its silent e dropped or its last consonant doubled, with an ending."""
        for ending in (*_ENDINGS, "ed"):
            stem = word.removesuffix(ending)
            if stem == word or len(stem) < _LEAST_PART:
                continue
            candidates = [stem, f"{stem}e"] + ([stem[:-1]] if stem[-1] == stem[-2] else [])
            known = next((found for text in candidates if (found := self.lexicon.get(text))), None)
            if known:
                return (*known, *(_ENDINGS.get(ending) or _sound_of_d(known[-1])))
        return None

    def _compound(self, word: str) -> tuple[str, ...] | None:
        """Two known words in one, the longer the first; the second loses its main stress."""
        for cut in range(len(word) - _LEAST_PART, _LEAST_PART - 1, -1):
            first, second = self.lexicon.get(word[:cut]), self.lexicon.get(word[cut:])
            if first and second:
                return (*first, *(phone.replace("1", "2") for phone in second))
        return None


def _sound_of_s(last: str) -> tuple[str, ...]:
    if last in _SIBILANT:
        return ("IH0", "Z")
    return ("S",) if last in _VOICELESS else ("Z",)


def _sound_of_d(last: str) -> tuple[str, ...]:
    if last in ("T", "D"):
        return ("IH0", "D")
    return ("T",) if last in _VOICELESS or last in ("S", "SH", "CH") else ("D",)
