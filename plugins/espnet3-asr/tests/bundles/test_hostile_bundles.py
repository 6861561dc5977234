"""Hostile bundles: all refused with the reason, nothing executed, nothing written outside."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hostile_cases  # noqa: F401 -- fills CASES
import pytest
from espnet3_core import load
from espnet3_core.bundle.archive import write_archive
from espnet3_core.errors import UserError
from hostile import CASES

GOOD = Path(__file__).parent / "version_1"
_written: list[str] = []
_watching = False


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """Notes what no refused bundle may cause: programs, unpickling, files opened for writing."""
    if not _watching:
        return
    if event in ("os.system", "subprocess.Popen", "pickle.find_class", "os.exec", "os.posix_spawn"):
        _written.append(event)
    elif (
        event == "open"
        and isinstance(arguments[0], str)
        and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
    ):
        _written.append(arguments[0])


sys.addaudithook(_watch)


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    global _watching
    _written.clear()
    _watching = True
    try:
        yield _written
    finally:
        _watching = False


@pytest.mark.parametrize("case", CASES)
def test_hostile_bundles_are_refused(case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary, cache = tmp_path / "canary", tmp_path / "cache"
    monkeypatch.setenv("HOSTILE_CANARY", str(canary))
    monkeypatch.setenv("ESPNET3_CACHE", str(cache))
    bundle = Path(shutil.copytree(GOOD, tmp_path / "bundle"))
    spoil, reason = CASES[case]
    archive = spoil(bundle)
    before = sorted(tmp_path.rglob("*"))
    with watched() as seen, pytest.raises(UserError, match=reason):
        load(archive or bundle, device="cpu")
    assert [path for path in seen if not path.startswith((str(cache), "/dev/null"))] == []
    left = [path for path in sorted(tmp_path.rglob("*")) if path not in before]
    assert [path for path in left if path not in (cache, cache / "bundles")] == []


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 25


@pytest.mark.parametrize("suffix", ["", ".zip", ".tar", ".tar.gz"])
def test_the_good_one_is_not_refused(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path / "cache"))
    source = GOOD
    if suffix:
        source = tmp_path / f"bundle{suffix}"
        write_archive(GOOD, source)
    with watched() as seen:
        load(source, device="cpu")
    assert [path for path in seen if not path.startswith((str(tmp_path / "cache"), "/dev/null"))] == []
