"""kill -9 at every operation of packing: nothing half-made passes for complete; packing again mends it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from espnet3_core.bundle.check import check_bundle
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.bundle.pack import write_bundle

CHANGES = frozenset({"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link"})


class Words:
    """A tokenizer with one file, written without care."""

    def save(self, directory: Path) -> None:
        directory.mkdir()
        (directory / "tokens.txt").write_text("a\nb\n")


def pack(target: Path, title: str) -> None:
    write_bundle(target, Manifest(system="a/b", title=title), {}, {"a": torch.arange(6.0)}, Words())


def killed_at(number: int, work: Callable[[], None]) -> bool:
    """Run ``work`` in a child that is killed when it begins its ``number``-th change; whether it was."""
    child = os.fork()
    if child == 0:
        count = 0

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            writes = event == "open" and int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)
            counted = bool(writes or event in CHANGES)
            count += counted
            if counted and count == number:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            work()
            os._exit(0)
        finally:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
    return status != 0


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("former", [False, True])
def test_kills_leave_a_whole_bundle_or_none(tmp_path: Path, former: bool) -> None:
    pack(tmp_path / "old", "old")
    pack(tmp_path / "new", "new")
    whole = [contents(tmp_path / name) for name in ("old", "new")]
    folder, number, absent = tmp_path / "exp", 0, 0
    while True:
        number += 1
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        target = folder / "bundle"
        if former:
            shutil.copytree(tmp_path / "old", target)
        if not killed_at(number, partial(pack, target, "new")):
            break
        if target.exists():
            check_bundle(target)
            assert contents(target) in whole
        absent += not target.exists()
        pack(target, "new")
        assert contents(target) == whole[1]
        # A kill while the lock is written leaves some bytes of it; nothing else stays.
        left = {path.name for path in folder.iterdir() if not path.name.startswith(".bundle.lock.")}
        assert left == {"bundle"}
    assert number > 20
    # With a former bundle, the name is free only between the two renames.
    assert absent <= 1 if former else absent > 20
