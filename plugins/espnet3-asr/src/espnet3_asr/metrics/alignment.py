"""Alignment of a hypothesis with its reference, counted and printed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

Units = Sequence[Hashable]


class Counts(NamedTuple):
    """Edits that turn a reference into a hypothesis.

    Attributes:
        substitutions: Reference units that became another.
        deletions: Reference units that the hypothesis lacks.
        insertions: Hypothesis units that the reference lacks.
        length: Reference units.
    """

    substitutions: int
    deletions: int
    insertions: int
    length: int

    @property
    def errors(self) -> int:
        """All edits."""
        return self.substitutions + self.deletions + self.insertions


def count_edits(reference: Units, hypothesis: Units) -> Counts:
    """Counts of a shortest sequence of edits (Levenshtein 1966).

    Among shortest sequences the one of ``rapidfuzz`` is taken, which is also jiwer's.

    >>> count_edits("kitten", "sitting")
    Counts(substitutions=2, deletions=0, insertions=1, length=6)
    """
    length = len(reference)
    if reference == hypothesis:
        return Counts(0, 0, 0, length)
    if not length or not hypothesis:
        return Counts(0, length, len(hypothesis), length)
    substitutions = deletions = insertions = 0
    for edit in Levenshtein.editops(reference, hypothesis):
        tag = edit.tag
        if tag == "replace":
            substitutions += 1
        elif tag == "delete":
            deletions += 1
        else:
            insertions += 1
    return Counts(substitutions, deletions, insertions, length)


def errors_by_position(reference: Units, hypothesis: Units) -> list[int]:
    """Errors of each reference unit: those on it, and insertions after it (before it, for the first)."""
    errors = [0] * len(reference)
    for edit in Levenshtein.editops(reference, hypothesis):
        if errors:
            errors[max(edit.src_pos - 1, 0) if edit.tag == "insert" else edit.src_pos] += 1
    return errors


def show_alignment(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Three lines: reference, hypothesis, and S, D or I below every edit.

    >>> print(show_alignment("one two three".split(), "one too three four".split()))
    REF: one two three ****
    HYP: one too three four
             S         I
    """
    rows: tuple[list[str], ...] = ([], [], [])
    for span in Levenshtein.opcodes(reference, hypothesis):
        sources = reference[span.src_start : span.src_end]
        targets = hypothesis[span.dest_start : span.dest_end]
        for above, below in zip_longest(sources, targets, fillvalue=""):
            width = max(len(above), len(below), 1)
            rows[0].append(above.ljust(width) if above else "*" * width)
            rows[1].append(below.ljust(width) if below else "*" * width)
            rows[2].append({"equal": "", "replace": "S", "delete": "D", "insert": "I"}[span.tag].ljust(width))
    heads = ("REF: ", "HYP: ", "     ")
    return "\n".join((head + " ".join(row)).rstrip() for head, row in zip(heads, rows, strict=True))
