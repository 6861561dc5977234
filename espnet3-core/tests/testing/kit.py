"""How a test method of the kit is called on a toy."""

import inspect
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.testing import Conformance


def run(case: type[Conformance], method: str, folder: Path, **options: Any) -> None:
    """Call one test method of a conformance class, with options for the component."""
    test = case()
    test.folder, test.config = folder, {**case.config, **options}
    wanted = inspect.signature(getattr(test, method)).parameters
    with pytest.MonkeyPatch.context() as monkeypatch:
        getattr(test, method)(**({"monkeypatch": monkeypatch} if "monkeypatch" in wanted else {}))
