from __future__ import annotations

import pytest
from espnet3_core.errors import UserError
from espnet3_tts.text.letter_to_sound import LetterToSound, words_right
from espnet3_tts.text.lexicon import VOWELS, cmu_dictionary, parse

REGULAR = parse(
    f"{c}{v}{d} {c.upper()} {sound} {d.upper()}"
    for c in "btkd"
    for v, sound in (("a", "AE1"), ("e", "EH1"), ("o", "AA1"))
    for d in "bdptk"
)


def test_regular_spellings_are_learned_whole():
    known = {word: phones for number, (word, phones) in enumerate(REGULAR.items()) if number % 3}
    unknown = [word for word in REGULAR if word not in known]
    assert words_right(LetterToSound.learn(known, step=1), REGULAR, unknown) == (1.0, 1.0)


def test_silent_letters_and_two_sounds_of_one_letter():
    words = "fox F AA1 K S|fax F AE1 K S|fix F IH1 K S|fog F AA1 G|made M EY1 D|fade F EY1 D|mode M OW1 D"
    lexicon = parse([*words.split("|"), "mad M AE1 D", "fad F AE1 D", "mod M AA1 D"])
    learned = LetterToSound.learn(lexicon, step=1)
    assert all(learned(word) == phones for word, phones in lexicon.items())
    assert learned("mox") == ("M", "AA1", "K", "S")


def test_it_is_the_same_when_saved_and_broken_files_are_told(tmp_path):
    learned = LetterToSound.learn(REGULAR, step=1)
    learned.save(tmp_path)
    first = (tmp_path / "letters.json").read_bytes()
    assert LetterToSound.load(tmp_path).table == learned.table
    LetterToSound.learn(dict(reversed(REGULAR.items())), step=1).save(tmp_path)
    assert (tmp_path / "letters.json").read_bytes() == first
    (tmp_path / "letters.json").write_bytes(first[:-9])
    with pytest.raises(UserError, match="cannot be read"):
        LetterToSound.load(tmp_path)


def _held_out(step: int) -> tuple[float, float]:
    lexicon = {word: phones for word, phones in cmu_dictionary().items() if word.isalpha() and len(word) > 1}
    unknown = sorted(lexicon)[1::50]
    known = {word: phones for word, phones in lexicon.items() if word not in set(unknown)}
    return words_right(LetterToSound.learn(known, step=step), lexicon, unknown)


def test_unknown_words_of_the_dictionary():
    """Learned from a sixteenth of the dictionary, for speed."""
    exact, unstressed = _held_out(16)
    assert exact > 0.22
    assert unstressed > 0.36


@pytest.mark.slow
def test_unknown_words_of_the_dictionary_in_full():
    """As a recipe learns it: 41.6 % of unknown words without an error, 54.6 % but for stress."""
    exact, unstressed = _held_out(2)
    print(f"letter-to-sound: {exact:.1%} of unknown words right, {unstressed:.1%} but for stress")
    assert exact > 0.41
    assert unstressed > 0.54


def test_every_word_gets_phones_of_the_alphabet():
    learned = LetterToSound.learn(REGULAR, step=1)
    for word in ("b", "zzz", "qwxj", "aeiou" * 9):
        assert all(phone.rstrip("012") in VOWELS or phone.isalpha() for phone in learned(word))
