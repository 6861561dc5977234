"""What the processes of a training tell each other through files, and what is said when one is lost.

``exp/<tag>/ranks/`` holds, while several processes train, ``<rank>.json`` of each; when one is lost
``trouble.json`` (written once, by whichever process found it), ``<rank>.stack`` and ``report.txt``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from espnet3_core.data.lock import is_running, process_start
from espnet3_core.errors import EXIT_RANK_LOST, RankLost

_SETTLE = 20.0
"""Seconds that the command which started a training waits for its processes to report."""
_SHOWN = 8


@dataclass(kw_only=True)
class RankState:
    """What one process does.

    Attributes:
        rank: Its number.
        ranks: How many there are.
        pid: Process.
        host: Machine.
        started: When the process began, as the system counts.
        beats: Grows while the process can run at all.
        signs: Grows with everything that its main thread gets done.
        turn: Grows at places that all ranks pass alike, so that who has the smallest is behind.
        step: Optimizer steps done.
        epoch: Counted from 0.
        batch: Last batch that was begun in it; -1 for none.
        doing: In words.
        since: Unix time since when.
        ids: Utterances of the batch that was begun last.
        awaits: Those that it has asked for and does not get.
        ended: Exit code of an error that ended it; None while it runs.
        error: What the error says.
    """

    rank: int
    ranks: int = 1
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    started: str | None = field(default_factory=lambda: process_start(os.getpid()))
    beats: int = 0
    signs: int = 0
    turn: int = 0
    step: int = 0
    epoch: int = 0
    batch: int = -1
    doing: str = "begins"
    since: float = field(default_factory=time.time)
    ids: list[str] = field(default_factory=list)
    awaits: list[str] = field(default_factory=list)
    ended: int | None = None
    error: str = ""

    @property
    def here(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == socket.gethostname()

    @property
    def gone(self) -> bool:
        """Whether its process has ended, as far as this machine can tell."""
        return self.here and not is_running(self.pid, self.started)

    def write(self, directory: Path) -> None:
        """Write it in one piece, without a flush to the disk, where a full one is no reason to stop.

        It is written over in place: what a process wrote that was killed in the next moment is there to read.
        """
        text = json.dumps({**vars(self), "ids": [str(name) for name in self.ids]}).ljust(2048)
        with suppress(OSError):
            handle = os.open(directory / f"{self.rank}.json", os.O_WRONLY | os.O_CREAT, 0o644)
            try:
                os.ftruncate(handle, os.pwrite(handle, text.encode(), 0))
            finally:
                os.close(handle)


@dataclass(frozen=True)
class Trouble:
    """Why a training is ended.

    Attributes:
        what: In words, with the ranks that it is about.
        hint: What to do.
        silent: Ranks that cannot say where they stand.
        code: Exit code of the run.
    """

    what: str
    hint: str
    silent: tuple[int, ...] = ()
    code: int = EXIT_RANK_LOST

    def claim(self, directory: Path) -> bool:
        """Announce it to all ranks; False when another one has announced something before."""
        path = directory / "trouble.json"
        temporary = directory / f".trouble.{os.getpid()}"
        try:
            temporary.write_text(json.dumps(asdict(self)), "utf-8")
            os.link(temporary, path)
        except FileExistsError:
            return False
        except OSError:
            return True  # nothing can be written: at least say it
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True


def read_trouble(directory: Path) -> Trouble | None:
    """What a rank has announced."""
    values = _read(directory / "trouble.json")
    return None if values is None else Trouble(**{**values, "silent": tuple(values["silent"])})


def read_states(directory: Path) -> dict[int, RankState]:
    """The states of the ranks that have written one and have not ended well."""
    known = {item.name for item in fields(RankState)}
    found = (_read(path) for path in directory.glob("[0-9]*.json"))
    states = [RankState(**values) for values in found if values is not None and values.keys() == known]
    return {state.rank: state for state in sorted(states, key=lambda state: state.rank)}


def find_lost(directory: Path, states: Mapping[int, RankState]) -> Trouble | None:
    """Whether a rank ended with an error, or its process is gone though it has not ended."""
    for state in states.values():
        if state.ended is not None:
            what = f"rank {state.rank} ended with an error, and the others cannot go on: {state.error}"
            return Trouble(what, "mend it; the same command goes on from the last checkpoint",
                           (state.rank,), state.ended)  # fmt: skip
    gone = [state for state in states.values() if state.gone]
    # A rank that ends well takes its file away first: what is there after it is gone is not of such a one.
    lost = [state for state in gone if (directory / f"{state.rank}.json").exists()]
    if not lost:
        return None
    names = _names([state.rank for state in lost])
    processes = ", ".join(f"process {state.pid} on {state.host}" for state in lost)
    return Trouble(
        f"{names} died ({processes})",
        "unless it has told why, it may have been killed for its memory: see dmesg or the cluster's log; "
        "the same command goes on from the last checkpoint",
        tuple(state.rank for state in lost),
    )


def find_behind(states: Mapping[int, RankState], silent: Collection[int], seconds: float) -> Trouble:
    """Who keeps the others waiting, after no rank has made progress for some time."""
    head = f"no progress for {seconds:g} s (training.watchdog)"
    if silent:
        return Trouble(
            f"{head}: {_names(silent)} gave no sign of life: stopped (SIGSTOP), or the machine is lost",
            "see that process and its machine; the same command goes on from the last checkpoint",
            tuple(silent),
        )
    first = min(state.turn for state in states.values())
    behind = [rank for rank, state in states.items() if state.turn == first]
    mend = "the stacks tell what it waits for; the same command goes on from the last checkpoint; "
    mend += "if it was only slow, raise training.watchdog"
    if len(behind) == len(states) > 1:
        return Trouble(f"{head}: all ranks stand at the same place", mend)
    about = f"{_names(behind)} hangs" if len(behind) == 1 else f"{_names(behind)} hang"
    return Trouble(f"{head}: {about}" + (", the others wait" if len(states) > 1 else ""), mend)


def report(directory: Path, trouble: Trouble) -> str:
    """What is said to the user: what happened, every rank's place and last ids, where the stacks are."""
    states = read_states(directory)
    count = max((state.ranks for state in states.values()), default=0)
    lines = [f"training was ended: {trouble.what}"]
    for rank in range(count):
        state = states.get(rank)
        lines.append(f"  rank {rank}: {'nothing is known' if state is None else _line(state)}")
    stacks = [path.name for path in sorted(directory.glob("*.stack"))]
    lines.append(f"  stacks: {directory}: {', '.join(stacks)}" if stacks else "  no stacks could be had")
    return "\n".join([*lines, f"  -> {trouble.hint}"])


def write_report(directory: Path, text: str) -> None:
    """Keep the report beside the stacks; that it is there says that it is made."""
    with suppress(OSError):
        (directory / "report.tmp").write_text(text + "\n", "utf-8")
        os.replace(directory / "report.tmp", directory / "report.txt")


def read_report(directory: Path) -> str | None:
    """The report, when it is made."""
    with suppress(OSError):
        return (directory / "report.txt").read_text("utf-8").rstrip("\n")
    return None


def end_others(states: Mapping[int, RankState]) -> None:
    """Kill the other ranks on this machine. A stopped process takes no other signal."""
    for state in states.values():
        if state.here and state.pid != os.getpid() and not state.gone:
            with suppress(OSError):
                os.kill(state.pid, signal.SIGKILL)


def verdict(directory: Path, code: int) -> RankLost | None:
    """For the command that started a training which failed: what its processes have found, or left.

    Args:
        directory: ``ranks`` of the experiment.
        code: How rank 0 ended; negative when a signal has killed it.

    Returns:
        None when no rank was lost: rank 0 has said what was wrong.
    """
    states = read_states(directory)
    if not states or (code > 0 and read_trouble(directory) is None):
        return None
    wait_for(
        lambda: read_report(directory) is not None or all(state.gone for state in states.values()), _SETTLE
    )
    text, trouble = read_report(directory), read_trouble(directory) or find_lost(directory, states)
    end_others(states)
    if trouble is None:
        return None
    return RankLost(text or report(directory, trouble), code=trouble.code)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return when a condition holds, or some time has passed."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)


def _line(state: RankState) -> str:
    since = datetime.fromtimestamp(state.since).strftime("%H:%M:%S")
    place = f"step {state.step}, epoch {state.epoch}" + (f", batch {state.batch}" if state.batch >= 0 else "")
    words = f"{place}, {state.doing} since {since}; last ids: {_ids(state.ids)}"
    return words + (f"; waits for: {_ids(state.awaits)}" if state.awaits else "")


def _ids(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (" ".join(names[:_SHOWN]) or "none") + more


def _names(ranks: Collection[int]) -> str:
    words = ", ".join(map(str, sorted(ranks)))
    return f"rank {words}" if len(ranks) == 1 else f"ranks {words}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
