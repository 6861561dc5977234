"""Bundles and servers that the tests share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from serving_tools import Running, Tones, make_tones, serving  # noqa: E402


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Tones:
    return make_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="session")
def server(tones: Tones) -> Iterator[Running]:
    """A server of both bundles with the usual limits."""
    with serving(tones.environment, f"ear={tones.listener}", f"mouth={tones.speaker}") as running:
        yield running
