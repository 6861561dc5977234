"""Bundles to export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from digit_bundles import LOG_MEL, SHERPA, TDNN, Bundle, make  # noqa: E402


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    def made(**options: Any) -> Path:
        return make(tmp_path / "bundle", **{"frontend": LOG_MEL, "encoder": TDNN, **options})

    return made


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that knows four recordings, with the features of sherpa-onnx."""
    return make(tmp_path_factory.mktemp("learnt") / "digits", frontend=SHERPA, encoder=TDNN, steps=60)
