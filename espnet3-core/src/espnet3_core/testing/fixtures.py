"""The pytest plugin: fixtures ``catalog``, ``cli`` and ``speech``. It imports nothing but pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from espnet3_core.testing.command import CommandLine
    from espnet3_core.testing.memory import MemoryCatalog
    from espnet3_core.testing.speech import Speech


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryCatalog]:
    """``catalog(plugin, …)`` makes core and these plugins all that there is; undone after the test.

    A plugin is an object with hooks, or simply its records. Looking for installed plugins is an error.
    """
    from espnet3_core.testing.memory import MemoryCatalog

    memory = MemoryCatalog(monkeypatch)
    try:
        yield memory
    finally:
        memory.close()


@pytest.fixture
def cli() -> CommandLine:
    """``cli("list", "--json")`` runs the command: ``code``, ``stdout`` and ``stderr``.

    In this process, or with ``fresh=True`` in one of its own, which does not see an in-memory catalog.
    """
    from espnet3_core.testing.command import CommandLine

    return CommandLine()


@pytest.fixture
def speech() -> Speech:
    """Four short utterances with texts: ``items``, ``sample_rate``, and the ``manifest`` they stand in."""
    from espnet3_core.testing.speech import sample_speech

    return sample_speech()
