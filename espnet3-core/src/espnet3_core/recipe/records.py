"""What is known about a stage of an experiment: ``stages/<stage>.json``."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from espnet3_core.files import atomic_write_json
from espnet3_core.specs import StageSpec

UNFINISHED = "unfinished"
"""The fact that a stage has ended and left something undone, in words: it goes on when it runs again."""

State = Literal["running", "done", "failed", "interrupted"]


@dataclass(kw_only=True)
class StageRecord:
    """One execution of a stage.

    Attributes:
        stage: Its name.
        state: ``running`` until it ends.
        parts: What its fingerprint covers: resolved keys, records before it, files, code; see
            :mod:`espnet3_core.recipe.fingerprint`.
        fingerprint: Digest of the parts.
        continued_by: Values of the neutral keys that make it go on when raised.
        result: Digest of its outputs; what later stages depend on.
        outputs: Paths of its outputs, relative to the experiment where they lie in it.
        facts: What the stage noted: the checkpoint used, counts, totals.
        versions: Of Python, core, plugins and the large libraries.
        git: Commit, branch and whether files were changed.
        seconds: How long it took; a continued training adds up.
        started: ISO time.
        finished: ISO time.
        command: Command line, secrets left out.
        overrides: ``role.key=value`` of the command line.
        seed: Seed of the training configuration.
        host: Machine.
        pid: Process.
        error: Message of a failure.
    """

    stage: str
    state: State = "running"
    parts: dict[str, Any] = field(default_factory=dict)
    fingerprint: str = ""
    continued_by: dict[str, Any] = field(default_factory=dict)
    result: str | None = None
    outputs: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    git: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    started: str = ""
    finished: str = ""
    command: list[str] = field(default_factory=list)
    overrides: list[str] = field(default_factory=list)
    seed: int | None = None
    host: str = ""
    pid: int = 0
    error: str | None = None

    def write(self, path: Path) -> None:
        """Write it atomically."""
        atomic_write_json(path, asdict(self))

    @property
    def alive(self) -> bool:
        """Whether the process that runs the stage lives, as far as this machine can tell."""
        if self.state != "running":
            return False
        if self.host != socket.gethostname():
            return True
        if self.pid == os.getpid():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return _started_like_ours(self.pid)


def read_record(path: Path) -> StageRecord | None:
    """The record in a file; None when there is none, or it cannot be read (it then counts as never run)."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not isinstance(values, dict) or "stage" not in values:
        return None
    known = {item.name for item in fields(StageRecord)}
    return StageRecord(**{key: value for key, value in values.items() if key in known})


def variant(stage: StageSpec, stems: Mapping[str, str]) -> str:
    """Tells the records of a stage apart by the stems of its roles, where these are not the usual ones.

    The training stem is left out: it is the experiment's tag.
    """
    chosen = [stems[role] for role in stage.roles if role != "training" and stems.get(role, role) != role]
    return "-".join(stem.replace("/", "_") for stem in chosen)


def _started_like_ours(pid: int) -> bool:
    """Whether a process could be one of ours: process numbers are used again after a restart."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    return b"python" in words or b"espnet3" in words
