"""Letters to phones for words that no dictionary has, learned from one.

Each letter of a known word is aligned with no phone, one or two (hard expectation maximisation); then each
letter in its context is looked up, contexts growing as long as they tell more (a decision tree by a fixed
order of questions: Daelemans and van den Bosch 1997, "Language-independent data-oriented grapheme-to-phoneme
conversion"). About every other unknown word comes out with an error, mostly in a vowel or its stress.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from espnet3_core.errors import UserError

from espnet3_tts.text.lexicon import Lexicon

Phones = tuple[str, ...]
FILE = "letters.json"
ORDER = (0, 1, -1, 2, -2, 3, -3, 4)
"""Letters that are looked at, by their distance from the one that is spoken, in this order."""
EDGE = "#"
_MOST = 2
"""Phones that a letter can stand for: x is K S."""
_ROUNDS = 3
_FLOOR = -12.0


class LetterToSound:
    """A table from letters in context to phones.

    Args:
        table: By context (letters in the order of :data:`ORDER`), the phones separated by blanks. A context
        stands
            in it where its phones differ from those of the context one letter shorter.
    """

    def __init__(self, table: dict[str, str]) -> None:
        self.table = table

    @classmethod
    def learn(cls, lexicon: Lexicon, step: int = 2) -> LetterToSound:
        """Learn from every ``step``-th word of letters only; equal lexica give equal tables."""
        words = [word for word in sorted(lexicon) if word.isascii() and word.isalpha() and len(word) > 1][
            ::step
        ]
        costs: dict[tuple[str, Phones], float] = {}
        for number in range(_ROUNDS):
            # A fraction of the words is enough to learn which letters stand for which phones.
            part = words[:: 8 if number + 1 < _ROUNDS else 4]
            costs = _log_shares(_align(word, lexicon[word], costs) for word in part)
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for word in words:
            aligned = _align(word, lexicon[word], costs)
            for place, (_, phones) in enumerate(aligned or ()):
                counts[word[place]][" ".join(phones)] += 0
                for context in _contexts(word, place):
                    counts[context][" ".join(phones)] += 1
        return cls(_pruned(counts))

    def __call__(self, word: str) -> Phones:
        """Phones of a word of small letters."""
        found: list[str] = []
        for place in range(len(word)):
            phones = ""
            for context in _contexts(word, place):
                phones = self.table.get(context, phones)
            found.extend(phones.split())
        return tuple(found)

    def save(self, directory: Path) -> None:
        """Write the table; equal tables give equal bytes."""
        text = json.dumps(self.table, sort_keys=True, separators=(",", ":"))
        (directory / FILE).write_text(text, "utf-8")

    @classmethod
    def load(cls, directory: Path) -> LetterToSound:
        """Read what :meth:`save` wrote.

        Raises:
            UserError: It is missing or broken.
        """
        path = directory / FILE
        try:
            return cls(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}", hint="get or train the model again") from None


def _contexts(word: str, place: int) -> Iterable[str]:
    """Contexts of a letter, shortest first; an edge of the word ends what is looked at on that side."""
    context = ""
    for distance in ORDER:
        position = place + distance
        context += word[position] if 0 <= position < len(word) else EDGE
        yield context


def _align(
    word: str, phones: Phones, costs: dict[tuple[str, Phones], float]
) -> list[tuple[str, Phones]] | None:
    """The most probable pairs of a letter with its phones; None where phones are too many."""
    count = len(phones)
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for place, letter in enumerate(word):
        after: dict[int, tuple[float, int]] = {}
        for done, (score, _) in best[-1].items():
            for size in range(min(_MOST, count - done) + 1):
                if count - done - size > _MOST * (len(word) - place - 1):
                    continue
                chunk = phones[done : done + size]
                cost = costs.get((letter, chunk), _FLOOR) if costs else _prior(letter, chunk)
                if score + cost > after.get(done + size, (-math.inf, 0))[0]:
                    after[done + size] = (score + cost, size)
        best.append(after)
    if count not in best[-1]:
        return None
    found: list[tuple[str, Phones]] = []
    done = count
    for place in range(len(word) - 1, -1, -1):
        size = best[place + 1][done][1]
        found.append((word[place], phones[done - size : done]))
        done -= size
    return found[::-1]


def _prior(letter: str, chunk: Phones) -> float:
    """Before anything is learnt: one phone per letter, vowels with vowels, equal first letters."""
    if len(chunk) != 1:
        return -2.0 - len(chunk)
    sounds_like = letter.upper() == chunk[0][0]
    same_class = (letter in "aeiouy") == chunk[0][-1].isdigit()
    return 0.0 if sounds_like else (-1.0 if same_class else -4.0)


def _log_shares(
    aligned: Iterable[list[tuple[str, Phones]] | None],
) -> dict[tuple[str, Phones], float]:
    counts = Counter(pair for pairs in aligned for pair in pairs or ())
    letters: Counter[str] = Counter()
    for (letter, _), count in counts.items():
        letters[letter] += count
    return {pair: math.log(count / letters[pair[0]]) for pair, count in counts.items()}


def _pruned(counts: dict[str, Counter[str]]) -> dict[str, str]:
    """The commonest phones of each context, without contexts that say what a shorter one says already."""
    table: dict[str, str] = {}
    answers: dict[str, str] = {}
    for context in sorted(counts, key=lambda text: (len(text), text)):
        phones, _ = max(counts[context].items(), key=lambda entry: (entry[1], entry[0]))
        shorter = answers.get(context[:-1])
        answers[context] = phones
        if phones != shorter:
            table[context] = phones
    return table


def words_right(learned: LetterToSound, lexicon: Lexicon, words: Sequence[str]) -> tuple[float, float]:
    """Shares of words with the dictionary's phones, with stress and without."""
    pairs = [(learned(word), lexicon[word]) for word in words]
    bare = [(_unstressed(found), _unstressed(wanted)) for found, wanted in pairs]
    return (
        sum(found == wanted for found, wanted in pairs) / len(pairs),
        sum(found == wanted for found, wanted in bare) / len(bare),
    )


def _unstressed(phones: Phones) -> Phones:
    return tuple(phone.rstrip("012") for phone in phones)
