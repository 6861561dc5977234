"""Bundles to export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.cli.main import main

sys.path.insert(0, str(Path(__file__).parent))

from digit_bundles import LOG_MEL, SHERPA, TDNN, Bundle, make  # noqa: E402
from voice_bundles import ACOUSTIC, VOCODER  # noqa: E402
from voice_bundles import make as make_voice  # noqa: E402


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    def made(**options: Any) -> Path:
        return make(tmp_path / "bundle", **{"frontend": LOG_MEL, "encoder": TDNN, **options})

    return made


@pytest.fixture(scope="session")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that knows four recordings, with the features of sherpa-onnx."""
    return make(tmp_path_factory.mktemp("learnt") / "digits", frontend=SHERPA, encoder=TDNN, steps=60)


@pytest.fixture(scope="session")
def exports(learnt: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """That bundle in every format, by format, in the place of earlier exports."""
    folders = {}
    for kind in ("onnx", "sherpa-onnx"):
        folder = folders[kind] = tmp_path_factory.mktemp(kind)
        (folder / "parity.json").write_text("{}")
        (folder / "old.onnx").write_bytes(b"")
        words = ["export", str(learnt), "--format", kind, "--output", str(folder), "--force"]
        assert main(words) == 0
    return folders


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Bundles of an acoustic model and a vocoder, and what they are exported as."""
    folder = tmp_path_factory.mktemp("voices")
    found = {}
    for name, options in (("acoustic", ACOUSTIC), ("vocoder", VOCODER)):
        found[name] = make_voice(folder / name, options)
        found[f"{name}-onnx"] = folder / f"{name}-onnx"
        words = ["export", str(found[name]), "--format", "onnx", "--output", str(found[f"{name}-onnx"])]
        assert main(words) == 0
    return found
