"""Long texts in pieces, none of their words lost."""

from __future__ import annotations

import doctest

import espnet3_serve.command
import espnet3_serve.sentences
import pytest
from espnet3_serve.sentences import LEAST, pieces

LONG = "This goes on and on until it has as many letters as a piece needs to stand by itself"


def test_examples_of_the_docstrings():
    for module in (espnet3_serve.command, espnet3_serve.sentences):
        found = doctest.testmod(module)
        assert found.attempted > 0
        assert found.failed == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{LONG}. {LONG}! {LONG}?", [f"{LONG}.", f"{LONG}!", f"{LONG}?"]),
        (f"{LONG}\n\nA title\n{LONG}", [LONG, f"A title\n{LONG}"]),
        (f"“{LONG}.” {LONG}", [f"“{LONG}.”", LONG]),
        ("Dr. Smith met Mr. Jones at 3.50 p. m. in St. Ives, as he had done all those years. Yes.",
         ["Dr. Smith met Mr. Jones at 3.50 p. m. in St. Ives, as he had done all those years.", "Yes."]),
        ("", []),
        (" \n ", []),
        ("Short. Shorter.", ["Short. Shorter."]),
    ],
)  # fmt: skip
def test_ends_of_sentences(text, expected):
    assert pieces(text) == expected


def test_other_scripts():
    found = pieces("今天天气很好。" * 40)
    assert len(found) == 4
    assert all(len(piece) >= min(LEAST, 28) and piece.endswith("。") for piece in found)


def test_nothing_is_lost():
    text = " ".join(f"word{n}{'.' if n % 7 == 0 else ''}{'!?'[n % 2] * (n % 11 == 0)}" for n in range(500))
    assert " ".join(pieces(text)).split() == text.split()
