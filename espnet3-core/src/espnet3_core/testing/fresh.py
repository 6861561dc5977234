"""Work in a fresh process: what a spawned worker would do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a module's function in a spawned process; function and arguments are pickled.

    Raises:
        Exception: What the function raised, or what cannot be pickled.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def echo(value: Any) -> Any:
    """The value itself: to send something there and back."""
    return value
