"""Progress of long work: a bar on a terminal, a line now and then elsewhere. Always on stderr."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_EVERY = 30.0
_shown: list[Progress] = []


def print_above(text: str) -> bool:
    """Print a line above the bar that is shown; False when none is."""
    if not _shown:
        return False
    _shown[-1].console.print(text, markup=False, highlight=False, soft_wrap=True)
    return True


@contextmanager
def progress(title: str, total: float, unit: str = "") -> Iterator[Callable[[float], None]]:
    """Show how far a block is.

    Args:
        title: What is done.
        total: How much there is.
        unit: Of the amounts, for plain lines.

    Yields:
        A function to call with the amount that has been added.
    """
    if sys.stderr.isatty():
        yield from _bar(title, total)
    else:
        yield from _lines(title, total, unit)


def _bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
    with bar:
        task = bar.add_task(title, total=total)
        _shown.append(bar)
        try:
            yield lambda amount: bar.advance(task, amount)
        finally:
            _shown.remove(bar)


def _lines(title: str, total: float, unit: str) -> Iterator[Callable[[float], None]]:
    logger = logging.getLogger("espnet3")
    done, start = 0.0, time.monotonic()
    last = start

    def advance(amount: float) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= _LINE_EVERY and 0 < done < total:
            last = now
            left = (now - start) * (total - done) / done
            logger.info("%s: %.0f of %.0f %s, about %.0f s left", title, done, total, unit, left)

    yield advance
