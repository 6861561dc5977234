from __future__ import annotations

import random

import pytest
from espnet3_tts.text.english import normalize_english
from espnet3_tts.text.numbers import cardinal, ordinal

LOW = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
)
ONES = {word: n for n, word in enumerate(LOW.split(" "))}
TENS = {
    w: 10 * n
    for n, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
}
SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}


def parsed(words: str) -> int:
    """The number that words say: read from the left, as a listener does."""
    total = part = 0
    for word in words.split():
        if word == "hundred":
            part *= 100
        elif word in SCALES:
            total, part = total + part * SCALES[word], 0
        else:
            part += ONES.get(word, TENS.get(word, 0))
    return total + part


def test_cardinals_say_their_number():
    rng = random.Random(0)
    numbers = [*range(1200), *(rng.randrange(10**power) for power in range(1, 16) for _ in range(50))]
    assert [parsed(cardinal(number)) for number in numbers] == numbers
    assert len({cardinal(number) for number in range(1200)}) == 1200


def test_ordinals():
    numbers = (0, 1, 2, 3, 5, 8, 9, 12, 20, 21, 100, 1003)
    assert [ordinal(n) for n in numbers] == [
        "zeroth", "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth",
        "twenty first", "one hundredth", "one thousand third",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Mr. Lee met Dr. Fox.", "mister Lee met doctor Fox."),
        ("Nails, glue, etc.", "Nails, glue, et cetera."),
        ("on St. John St., No. 5", "on saint John street, number five"),
        ("e.g. the U.S.A. and the U.N.", "for example the U S A and the U N"),
        ("$1", "one dollar"),
        ("$1.01", "one dollar one cent"),
        ("$0.99", "ninety nine cents"),
        ("$3.5", "three point five dollars"),
        ("£1,200 and €3.5 million", "one thousand two hundred pounds and three point five million euros"),
        ("May 10, 1998", "May tenth, nineteen ninety eight"),
        ("10 May 1805", "May tenth, eighteen oh five"),
        ("Sept. 3rd", "September third"),
        ("2024-02-29", "February twenty ninth, twenty twenty four"),
        ("3/12/2001", "March twelfth, two thousand one"),
        ("2024-13-01", "two zero two four, one three, zero one"),
        ("in 1999, the 1990s", "in nineteen ninety nine, the nineteen nineties"),
        ("2500 men, 1,999 more", "two thousand five hundred men, one thousand nine hundred ninety nine more"),
        ("at 10:05 a.m. or 7pm", "at ten oh five A M or seven P M"),
        ("at 10:00, not 25:00", "at ten o'clock, not twenty five: zero zero"),
        ("the 22nd, the 1,000th", "the twenty second, the one thousandth"),
        ("1/2, 3/4, 2/3", "one half, three quarters, two thirds"),
        ("-3.14, 0.5", "minus three point one four, zero point five"),
        ("10-12 km, 1 kg, 60 mph", "ten to twelve kilometers, one kilogram, sixty miles per hour"),
        ("call 555-1234 or 007", "call five five five, one two three four or zero zero seven"),
        ("50% & 3 + 4 = 7", "fifty percent and three plus four equals seven"),
        ("12345678901", "one two three four five six seven eight nine zero one"),
        ("nothing to do", "nothing to do"),
    ],
)  # fmt: skip
def test_texts_are_written_out(text, spoken):
    assert normalize_english(text) == spoken


def test_normal_texts_stay():
    text = "She said: 'Well, it's late; isn't it?' No, not yet!"
    assert normalize_english(text) == text
    assert normalize_english(normalize_english("$3.50 on May 3")) == normalize_english("$3.50 on May 3")
