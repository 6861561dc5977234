"""What goes into a system and comes out of it: named values of a few kinds, which servers and pages read."""

from __future__ import annotations

from dataclasses import dataclass

FIELD_KINDS = ("audio", "text", "segments", "number", "label", "embedding")
"""Kinds of values: samples with a rate; a string; stretches of time with text; a number; one of several
names, maybe with scores; a vector."""


@dataclass(frozen=True)
class FieldDeclaration:
    """A value that a model takes or gives.

    Attributes:
        name: Key in items and results: ``speech``, ``text``.
        kind: One of :data:`FIELD_KINDS`, or a ``namespace/ident`` that a plugin registers.
        summary: What it is, in a few words for people.
        optional: An input that may be left out; an output that not every configuration gives.
    """

    name: str
    kind: str
    summary: str = ""
    optional: bool = False
