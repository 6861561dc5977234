"""Making batches in threads of one process, ahead of whoever consumes them."""

from __future__ import annotations

import contextvars
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Wanted = TypeVar("Wanted")
Made = TypeVar("Made")

_AHEAD = 2
"""Batches of each thread that are made or being made while none is asked for, as with worker processes."""


def in_threads(
    make: Callable[[Wanted], Made],
    wanted: Iterable[Wanted],
    count: int,
    start: Callable[[], None] = lambda: None,
) -> Generator[Made, None, None]:
    """``make`` of one thing after another, in their order, with later ones under way.

    Args:
        make: Called in a thread, with the context variables of the consumer.
        wanted: Gone through by the consumer.
        count: Number of threads.
        start: Called first in each thread.

    Raises:
        Exception: Whatever ``make`` raises, when its turn comes.

    >>> list(in_threads(lambda number: number * number, range(5), 2))
    [0, 1, 4, 9, 16]
    """
    ahead: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(count, thread_name_prefix="loader", initializer=start)
    try:
        for one in wanted:
            ahead.append(pool.submit(contextvars.copy_context().run, make, one))
            if len(ahead) > _AHEAD * count:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
