"""Starting quickly: heavy imports without the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Keep the garbage collector from running in a block that makes many objects that stay.

    Importing torch and Lightning makes some hundred thousand of them, and the collector would walk over
    them again and again: a sixth of the time. What exists at the end is left out of later collections.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()
