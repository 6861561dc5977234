"""Parts that are right or wrong on purpose, and how a class of the kit is run on them."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from espnet3_core.testing import Conformance
from espnet3_core.testing.fixtures import catalog, cli, speech  # noqa: F401  found by name where core is installed

sys.path.insert(0, str(Path(__file__).parent))

from kit import run  # noqa: E402


@pytest.fixture
def passes(tmp_path: Path) -> Callable[[type[Conformance]], None]:
    """All tests of a class pass, or are skipped with a reason."""

    def check(case: type[Conformance]) -> None:
        names = [name for name in dir(case) if name.startswith("test_")]
        assert names
        for number, name in enumerate(names):
            (tmp_path / str(number)).mkdir()
            run(case, name, tmp_path / str(number))

    return check


@pytest.fixture
def rejects(tmp_path: Path) -> Callable[..., None]:
    """A test of a class fails on a fault, with a message that says so and a remedy."""

    def check(case: type[Conformance], fault: str, method: str, message: str) -> None:
        with pytest.raises(pytest.fail.Exception) as failure:
            run(case, method, tmp_path, fault=fault)
        text = str(failure.value)
        assert message in text, text
        assert case.name in text
        assert "\n  -> " in text

    return check
