"""Alignment of a hypothesis with its reference, counted and printed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein

Units = Sequence[Hashable]
_MARKS = {"replace": "S", "delete": "D", "insert": "I"}


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
    for tag, _, _ in Levenshtein.editops(reference, hypothesis).as_list():
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
    for tag, position, _ in Levenshtein.editops(reference, hypothesis).as_list():
        if errors:
            errors[max(position - 1, 0) if tag == "insert" else position] += 1
    return errors


def show_alignment(reference: Sequence[str], hypothesis: Sequence[str]) -> str:
    """Three lines: reference, hypothesis, and S, D or I below every edit.

    >>> print(show_alignment("one two three".split(), "one too three four".split()))
    REF: one two three ****
    HYP: one too three four
             S         I
    """
    above: list[str] = []
    below: list[str] = []
    marks: list[str] = []
    for tag, start, end, other_start, other_end in Levenshtein.opcodes(reference, hypothesis).as_list():
        if tag == "equal":
            words = " ".join(reference[start:end])
            above.append(words)
            below.append(words)
            marks.append(" " * len(words))
            continue
        mark = _MARKS[tag]
        pairs = zip_longest(reference[start:end], hypothesis[other_start:other_end], fillvalue="")
        for wanted, found in pairs:
            width = max(len(wanted), len(found), 1)
            above.append(wanted.ljust(width) if wanted else "*" * width)
            below.append(found.ljust(width) if found else "*" * width)
            marks.append(mark.ljust(width))
    lines = f"REF: {' '.join(above)}", f"HYP: {' '.join(below)}", f"     {' '.join(marks)}"
    return "\n".join([line.rstrip() for line in lines])
