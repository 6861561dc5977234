"""Numbers as English words."""

from __future__ import annotations

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_SCALES = (
    (10**12, "trillion"),
    (10**9, "billion"),
    (10**6, "million"),
    (10**3, "thousand"),
    (100, "hundred"),
)
_IRREGULAR_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
LARGEST = 10**15 - 1
"""Larger numbers are read digit by digit."""


def cardinal(number: int) -> str:
    """A whole number in American style, without "and".

    >>> cardinal(1234)
    'one thousand two hundred thirty four'
    >>> cardinal(-7)
    'minus seven'
    """
    if number < 0:
        return f"minus {cardinal(-number)}"
    if number > LARGEST:
        return digits(str(number))
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (f" {_ONES[ones]}" if ones else "")
    scale, name = next(entry for entry in _SCALES if entry[0] <= number)
    head, rest = divmod(number, scale)
    return f"{cardinal(head)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(number: int) -> str:
    """The ordinal of a whole number.

    >>> [ordinal(n) for n in (3, 20, 112)]
    ['third', 'twentieth', 'one hundred twelfth']
    """
    head, _, last = cardinal(number).rpartition(" ")
    if last in _IRREGULAR_ORDINALS:
        last = _IRREGULAR_ORDINALS[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{head} {last}".strip()


def year(number: int) -> str:
    """A year as it is read: in pairs of digits, except for round thousands and 2001 to 2009.

    >>> [year(n) for n in (1984, 1900, 1805)]
    ['nineteen eighty four', 'nineteen hundred', 'eighteen oh five']
    >>> [year(n) for n in (2000, 2007, 2026)]
    ['two thousand', 'two thousand seven', 'twenty twenty six']
    """
    if not 1000 <= number <= 9999 or number % 1000 < 10:
        return cardinal(number)
    century, rest = divmod(number, 100)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def digits(text: str) -> str:
    """Digits one by one; other characters separate.

    >>> digits("007")
    'zero zero seven'
    """
    return " ".join(_ONES[int(character)] for character in text if character.isdecimal())


def decimal(text: str) -> str:
    """A number with or without decimals, thousands separated by commas or not.

    >>> decimal("1,200.05")
    'one thousand two hundred point zero five'
    """
    whole, point, fraction = text.replace(",", "").partition(".")
    words = digits(whole) if len(whole) > 1 and whole[0] == "0" else cardinal(int(whole or 0))
    return f"{words} point {digits(fraction)}" if point and fraction else words


def plural(words: str) -> str:
    """The plural of a number word: of decades, and of ordinals as denominators.

    >>> plural("nineteen eighty"), plural("third")
    ('nineteen eighties', 'thirds')
    """
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"
