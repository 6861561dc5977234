"""A lock file for work that only one process may do, recognised as stale when its owner is gone."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.files import disk_errors, make_directory


def process_start(pid: int) -> str | None:
    """When a process began, so that a number used again is not taken for its former owner; Linux only.

    Returns:
        None when it cannot be told, or the process has ended and its parent has not asked for it yet.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
    except OSError:
        return None
    words = stat.rpartition(")")[2].split()
    return None if words[0] in "ZX" else words[19]


def is_running(pid: int, started: str | None) -> bool:
    """Whether the process that began at ``started`` lives on this machine."""
    return _alive(pid) and (started is None or process_start(pid) == started)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _owner() -> dict[str, Any]:
    pid = os.getpid()
    return {"pid": pid, "host": socket.gethostname(), "started": process_start(pid), "time": time.time()}


def _is_stale(owner: dict[str, Any]) -> bool:
    """Whether the owner ran on this machine and is gone. Of other machines we cannot tell."""
    if owner.get("host") != socket.gethostname() or not isinstance(owner.get("pid"), int):
        return not owner
    return not is_running(int(owner["pid"]), owner.get("started"))


def _read(path: Path) -> dict[str, Any] | None:
    """Who holds the lock; None when nobody does, empty when the file is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _acquire(path: Path) -> None:
    """Create the lock file whole: written under another name, then linked, which fails if it exists."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with disk_errors(path):
        temporary.write_text(json.dumps(_owner()), "utf-8")
        try:
            for _ in range(100):
                with contextlib.suppress(FileExistsError):
                    os.link(temporary, path)
                    return
                owner = _read(path)
                if owner is None:
                    continue
                if not _is_stale(owner):
                    raise UserError(
                        f"{path}: process {owner.get('pid')} on {owner.get('host')} is at work here",
                        hint="wait until it has finished; if it no longer runs, delete this file",
                    )
                _take_away(path, owner)
        finally:
            temporary.unlink(missing_ok=True)
    raise UserError(f"{path}: the lock changes hands too fast", hint="run the command again")


def _take_away(path: Path, owner: dict[str, Any]) -> None:
    """Remove a stale lock, and only that: a new owner's, caught by accident, is put back."""
    aside = path.with_name(f"{path.name}.stale.{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        if _read(aside) != owner:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


@contextmanager
def file_lock(path: str | os.PathLike[str]) -> Iterator[None]:
    """Hold a lock file during a block.

    The file names process and machine; one whose process is gone is taken over.

    Raises:
        UserError: Another process holds it.
    """
    lock = Path(path)
    make_directory(lock.parent)
    _acquire(lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
