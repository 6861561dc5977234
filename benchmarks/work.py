"""What a row of the table is made of. Imports nothing, since it is read in every peer's environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Setting:
    """How a row is run.

    Attributes:
        folder: Where inputs lie that are made once.
        exchange: An empty folder that the sides of one run share.
        threads: Threads that a process may use.
    """

    folder: Path
    exchange: Path
    threads: int


@dataclass(frozen=True)
class Work:
    """One side's piece of work, ready to be repeated.

    Attributes:
        run: Does it once; what it returns, JSON can write, and goes into the record.
        amount: How much of ``unit`` one run does; a rate is shown when it is given.
        unit: ``utterances``, ``seconds of audio`` …
        facts: What else the record says of it.
        judge: Looks at what all sides returned with what this side has at hand (a model), after the runs;
            facts for the record, with ``ok``. Asked of our side only.
    """

    run: Callable[[], Any]
    amount: float | None = None
    unit: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    judge: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Case:
    """A line of a row's table.

    Attributes:
        name: What is done.
        bar: Most that our time may be of the best peer's; None where nothing is timed against it.
        repeats: Runs of each side, where the command line does not say; 0 for one run without warm-up.
        sides: Which sides take part; empty for all of them.
    """

    name: str
    bar: float | None = None
    repeats: int = 5
    sides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        title: One line.
        cases: What is timed.
        sides: By name, a function of case name and setting that prepares the work. ``ours`` runs in our
            environment, the others in that of the peer (``environment``).
        check: Compares what the sides' runs of a case returned: facts for the record, with ``ok``.
        memory_bar: Most peak memory of ours, as a share of the best peer's.
    """

    title: str
    cases: tuple[Case, ...]
    sides: Mapping[str, Callable[[str, Setting], Work]]
    check: Callable[[str, Mapping[str, Any]], dict[str, Any] | None] | None = None
    memory_bar: float | None = None
