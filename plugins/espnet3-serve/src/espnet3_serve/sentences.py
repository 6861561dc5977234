"""Long texts to pieces that are spoken one after the other, so that the first one is heard soon."""

from __future__ import annotations

import re

LEAST = 80
"""Characters that a piece has at least: fewer cuts, and none after an abbreviation at the start."""
PAUSE = 0.25
"""Seconds of silence between two pieces."""

_END = re.compile(r"(?<=[!?…。！？])[\"'”’)\]]*\s*|(?<=\w{3}\.)[\"'”’)\]]*\s+|\n+")


def pieces(text: str) -> list[str]:
    """Cut a text at the ends of sentences; short sentences stay together.

    A point ends a sentence after a word of three letters or more only, so that `Mr.` and `p.` do not.

    >>> pieces("Yes. No! " + "And then it went on for such a long time that nobody could tell any more. End.")
    ['Yes. No! And then it went on for such a long time that nobody could tell any more.', 'End.']
    """
    found: list[str] = []
    start = 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        if end - start >= LEAST or end == len(text):
            piece = text[start:end].strip()
            start = end
            if piece:
                found.append(piece)
    return found
