"""English texts as they are spoken: abbreviations, money, dates, times, numbers and symbols as words.

What is ambiguous is read in the American way: 3/12 is a day in March, numbers have no "and". A bare number of
four digits from 1100 to 2099 is read as a year.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from espnet3_tts.text.numbers import cardinal, decimal, digits, ordinal, plural, year

VERSION = 1
"""Changes whenever some text is normalised otherwise; bundles record it."""

MONTHS = (
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December"]
)  # fmt: skip
_MONTH = "|".join(f"{name}|{name[:3]}\\.?" for name in MONTHS) + "|Sept\\.?"
_ABBREVIATIONS = {
    "mr": "mister", "mrs": "missus", "ms": "miz", "dr": "doctor", "prof": "professor", "rev": "reverend",
    "gen": "general", "col": "colonel", "capt": "captain", "lt": "lieutenant", "sgt": "sergeant",
    "hon": "honorable", "gov": "governor", "sen": "senator", "rep": "representative", "jr": "junior",
    "sr": "senior", "etc": "et cetera", "vs": "versus", "approx": "approximately", "dept": "department",
    "co": "company", "corp": "corporation", "inc": "incorporated", "ltd": "limited", "ave": "avenue",
    "blvd": "boulevard", "mt": "mount", "ft": "fort",
}  # fmt: skip
_UNITS = {
    "km": "kilometer", "cm": "centimeter", "mm": "millimeter", "kg": "kilogram", "mg": "milligram",
    "lb": "pound", "lbs": "pound", "oz": "ounce", "mph": "mile per hour", "hz": "hertz", "khz": "kilohertz",
}  # fmt: skip
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
_SYMBOLS = {
    "%": "percent", "&": "and", "+": "plus", "=": "equals", "@": "at", "#": "number", "°": "degrees",
    "½": "one half", "¼": "one quarter", "¾": "three quarters", "×": "times", "÷": "divided by", "/": "slash",
    "*": "star", "<": "less than", ">": "greater than", "_": "underscore", "~": "about",
}  # fmt: skip
_DAY = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"


def normalize_english(text: str) -> str:
    """The text in words; its letters keep their case, its punctuation stays.

    >>> normalize_english("Dr. Lee paid $3.50 on March 3, 1998.")
    'doctor Lee paid three dollars fifty cents on March third, nineteen ninety eight.'
    """
    for pattern, replace in _RULES:
        text = pattern.sub(replace, text)
    return " ".join(text.split())


def _count(number: str, noun: str) -> str:
    if noun in ("yen", "hertz", "kilohertz") or number == "1":
        return f"{decimal(number)} {noun}"
    head, per, tail = noun.partition(" per ")
    many = "pence" if head == "penny" else f"{head}s"
    return f"{decimal(number)} {many}{per}{tail}"


def _abbreviation(match: Match[str]) -> str:
    word = match[1]
    if word.lower() == "co" and word != "Co":
        return match[0]
    return _ABBREVIATIONS[word.lower()]


def _final_abbreviation(match: Match[str]) -> str:
    return f"{_ABBREVIATIONS[match[1].lower()]}."


def _money(match: Match[str]) -> str:
    one, small = _CURRENCIES[match["sign"]]
    number, scale = match["number"], match["scale"]
    if scale:
        return f"{decimal(number)} {scale.lower()} {_count('2', one).split(' ', 1)[1]}"
    whole, point, cents = number.partition(".")
    if not point or not small or len(cents) != 2:
        return _count(number, one)
    parts = [_count(whole, one)] if int(whole.replace(",", "")) or not int(cents) else []
    if int(cents):
        parts.append(_count(str(int(cents)), small))
    return " ".join(parts)


def _month(text: str) -> str:
    return next(name for name in MONTHS if name[:3].lower() == text[:3].lower())


def _date(month: str, day: str, of_year: str | None) -> str:
    words = f"{month} {ordinal(int(day))}"
    return f"{words}, {year(int(of_year))}" if of_year else words


def _named_date(match: Match[str]) -> str:
    return _date(_month(match["month"]), match["day"], match["year"])


def _numeric_date(match: Match[str]) -> str:
    month, day = int(match["month"]), int(match["day"])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return match[0]
    return _date(MONTHS[month - 1], match["day"], match["year"])


def _time(match: Match[str]) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if hour > 24 or minute > 59:
        return match[0]
    words = cardinal(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not half:
        words += " o'clock"
    return f"{words} {' '.join(half[:1].upper() + 'M')}" if half else words


def _fraction(match: Match[str]) -> str:
    top, bottom = int(match[1]), int(match[2])
    if bottom < 2:
        return match[0]
    name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom)
    many = "halves" if bottom == 2 else plural(name)
    return f"{cardinal(top)} {name if top == 1 else many}"


def _number(match: Match[str]) -> str:
    text = match[0]
    if text.isdecimal() and (len(text) > 9 or (len(text) > 1 and text[0] == "0")):
        return digits(text)
    if re.fullmatch(r"1[1-9]\d\d|20\d\d", text):
        return year(int(text))
    return decimal(text)


def _rule(pattern: str, replace: Callable[[Match[str]], str] | str, flags: int = re.IGNORECASE) -> _Rule:
    return re.compile(pattern, flags), replace


_Rule = tuple[re.Pattern[str], Callable[[Match[str]], str] | str]
_ABBREVIATED = "|".join(sorted(_ABBREVIATIONS, key=len, reverse=True))
_RULES: tuple[_Rule, ...] = (
    _rule(r"\be\.\s?g\.", "for example"),
    _rule(r"\bi\.\s?e\.", "that is"),
    _rule(r"\bSt\.(?=\s+[A-Z])", "saint", 0),
    _rule(r"\bSt\.", "street", 0),
    _rule(r"\bNo\.\s*(?=\d)", "number ", 0),
    # At the end of a text or sentence the full stop is the sentence's, too.
    _rule(rf"\b({_ABBREVIATED})\.(?=$|\s+[\"'A-Z]\w*\s[a-z])", _final_abbreviation, 0),
    _rule(rf"\b({_ABBREVIATED})\.", _abbreviation),
    # U.S.A.: letters, and the full stop only at the end.
    _rule(r"\b(?:[A-Z]\.){2,}", lambda match: " ".join(match[0].replace(".", "")), 0),
    _rule(
        rf"(?P<sign>[$£€¥])\s?(?P<number>{_NUMBER})(?:\s?(?P<scale>thousand|million|billion|trillion)\b)?",
        _money,
    ),
    _rule(r"\b(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)\b", _numeric_date),
    _rule(r"\b(?P<month>\d{1,2})/(?P<day>\d{1,2})/(?P<year>\d{4})\b", _numeric_date),
    _rule(rf"\b(?P<month>{_MONTH})\s+{_DAY}{_YEAR}\b(?!:)", _named_date),
    _rule(rf"\b{_DAY}\s+(?P<month>{_MONTH}){_YEAR}\b(?!:)", _named_date),
    _rule(r"\b(\d{1,2}):(\d\d)(?:\s?([ap])\.?m\b\.?)?", _time),
    _rule(r"\b(\d{1,2})\s?([ap])\.?m\b\.?", lambda match: f"{cardinal(int(match[1]))} {match[2].upper()} M"),
    _rule(r"\b(\d{3})0s\b", lambda match: plural(year(int(match[1] + "0")))),
    _rule(
        r"(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th)\b",
        lambda match: ordinal(int(match[1].replace(",", ""))),
    ),
    _rule(r"\b(\d+)/(\d+)\b", _fraction),
    # Telephone numbers and the like.
    _rule(
        r"\b(?:\d+(?:-\d+){2,}|\d{3}-\d{4})\b",
        lambda match: ", ".join(digits(part) for part in match[0].split("-")),
    ),
    _rule(r"(?<=\d)-(?=\d)", " to "),
    _rule(
        rf"({_NUMBER})\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})\b",
        lambda match: _count(match[1], _UNITS[match[2].lower()]),
    ),
    _rule(r"(?<![\w.])[-\u2212](?=\d)", "minus "),
    _rule(_NUMBER, lambda match: f" {_number(match)} "),
    _rule(f"[{re.escape(''.join(_SYMBOLS))}]", lambda match: f" {_SYMBOLS[match[0]]} "),
    _rule(r"\s+(?=[,.;:?!])", ""),
)  # fmt: skip
