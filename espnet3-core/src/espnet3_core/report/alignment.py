"""A reference beside a hypothesis, unit by unit, along a shortest sequence of edits (Levenshtein 1966)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MOST_CELLS = 400_000
"""Product of the lengths beyond which texts are not aligned here: it would take a second and more each."""


class Pair(NamedTuple):
    """A place in an alignment.

    Attributes:
        edit: ``=``, or ``S``, ``D``, ``I``: substitution, deletion, insertion.
        reference: Unit, empty in an insertion.
        hypothesis: Unit, empty in a deletion.
    """

    edit: str
    reference: str
    hypothesis: str


def units_of(reference: str, hypothesis: str, counted: float | None) -> tuple[list[str], list[str]]:
    """Both texts in words, or in characters where the metric has counted as many of these as there are.

    Args:
        reference: Text.
        hypothesis: Text.
        counted: Units of the reference according to the metric.
    """
    words = reference.split()
    letters = [unit for unit in reference if not unit.isspace()]
    if counted is not None and counted != len(words) and counted in (len(letters), len(reference)):
        if counted == len(letters):
            return letters, [unit for unit in hypothesis if not unit.isspace()]
        return list(reference), list(hypothesis)
    return words, hypothesis.split()


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> list[Pair]:
    """A shortest sequence of edits, with substitutions before deletions and insertions where both are.

    >>> [pair.edit for pair in align("six two".split(), "six to two".split())]
    ['=', 'I', '=']
    """
    rows, columns = len(reference), len(hypothesis)
    costs = [list(range(columns + 1))]
    for row, unit in enumerate(reference, 1):
        above, line = costs[-1], [row]
        for column, other in enumerate(hypothesis, 1):
            line.append(min(above[column - 1] + (unit != other), above[column] + 1, line[column - 1] + 1))
        costs.append(line)
    found: list[Pair] = []
    row, column = rows, columns
    while row or column:
        cost = costs[row][column]
        if row and column:
            same = reference[row - 1] == hypothesis[column - 1]
            if costs[row - 1][column - 1] + (not same) == cost:
                row, column = row - 1, column - 1
                found.append(Pair("=" if same else "S", reference[row], hypothesis[column]))
                continue
        if row and costs[row - 1][column] + 1 == cost:
            row -= 1
            found.append(Pair("D", reference[row], ""))
        else:
            column -= 1
            found.append(Pair("I", "", hypothesis[column]))
    return found[::-1]
