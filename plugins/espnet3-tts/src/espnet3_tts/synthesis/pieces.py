"""Long texts, cut at sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from espnet3_tts.text.config import SPACE

SENTENCE_ENDS = frozenset(".?!")
CLAUSE_ENDS = frozenset(",;:-")


class Piece(NamedTuple):
    """Tokens that are spoken together.

    Attributes:
        start: First token.
        end: The token after the last.
        ends_sentence: Whether a sentence ends with it.
    """

    start: int
    end: int
    ends_sentence: bool


def pieces(tokens: Sequence[str], most: int) -> list[Piece]:
    """Cut tokens after each sentence, and sentences longer than ``most`` where it is heard least.

    Tokens between pieces (spaces) belong to none.

    >>> pieces(["h", "i", ".", "<space>", "y", "o"], 10)
    [Piece(start=0, end=3, ends_sentence=True), Piece(start=4, end=6, ends_sentence=True)]
    """
    found: list[Piece] = []
    for start, end in _sentences(tokens):
        while end - start > most:
            cut = _cut(tokens, start, start + most)
            found.append(Piece(start, cut, False))
            start = _skip(tokens, cut, end)
        found.append(Piece(start, end, True))
    return found


def _sentences(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    start = 0
    for position, token in enumerate(tokens):
        if token in SENTENCE_ENDS:
            if position > start:
                yield start, position + 1
            start = _skip(tokens, position + 1, len(tokens))
    if start < len(tokens):
        yield start, len(tokens)


def _skip(tokens: Sequence[str], start: int, end: int) -> int:
    while start < end and tokens[start] == SPACE:
        start += 1
    return start


def _cut(tokens: Sequence[str], start: int, limit: int) -> int:
    """Where to cut: after the last mark in the second half, else before the last space, else at the limit."""
    middle = (start + limit) // 2
    for position in range(limit - 1, middle - 1, -1):
        if tokens[position] in CLAUSE_ENDS:
            return position + 1
    for position in range(limit - 1, start, -1):
        if tokens[position] == SPACE:
            return position
    return limit
