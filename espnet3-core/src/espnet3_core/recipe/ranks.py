"""What the processes of a training tell each other through files, and what is said when one is lost.

``exp/<tag>/ranks/`` holds, while several processes train, ``<rank>.json`` of each; when one is lost also
``trouble.json`` (written once, by whichever process found it), ``<rank>.stack`` and ``report.txt``. Files
need no collective and no port: they work for threads beside a hanging one, and show what a process did
that was killed.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from espnet3_core.data.lock import is_running, process_start
from espnet3_core.errors import EXIT_BUG

_BLOCK = 16384
"""Bytes of a state: always the same, so that it is written over in place and leaves nothing behind."""
_MOST_IDS = 32
_SETTLE = 20.0
"""Seconds that the command which started a training waits for its processes to end."""
_FRAMES = 12
_AGAIN = "the same command goes on from the last checkpoint"


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
        turn: Grows at places that all ranks pass alike, so that who has the smallest is behind.
        step: Optimizer steps done.
        epoch: Counted from 0.
        batch: Last batch that was begun in it; -1 for none.
        doing: In words.
        since: Unix time of the last progress.
        warm: Whether it has done a batch.
        writing: Whether it may be writing models.
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
    turn: int = 0
    step: int = 0
    epoch: int = 0
    batch: int = -1
    doing: str = "before the first batch"
    since: float = field(default_factory=time.time)
    warm: bool = False
    writing: bool = False
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

    @property
    def slow(self) -> bool:
        """Whether it does what may take long."""
        return not self.warm or self.writing

    def write(self, handle: int) -> None:
        """Write it over what stands in a file; for that a full disk is no reason to stop training."""
        text = json.dumps(vars(self), ensure_ascii=False).encode("utf-8", "replace")
        with suppress(OSError):
            os.pwrite(handle, text.ljust(_BLOCK), 0)


@dataclass(frozen=True)
class Trouble:
    """Why a training is ended.

    Attributes:
        what: In words, with the ranks that it is about.
        hint: What to do.
        code: Exit code of the run: 1, or that of the rank whose error ended it.
    """

    what: str
    hint: str
    code: int = EXIT_BUG

    def claim(self, directory: Path) -> bool:
        """Announce it to all ranks; False when another one has announced something before."""
        temporary = directory / f".trouble.{socket.gethostname()}.{os.getpid()}"
        try:
            temporary.write_text(json.dumps(asdict(self)), "utf-8")
            os.link(temporary, directory / "trouble.json")
        except FileExistsError:
            return False
        except OSError:
            return True  # nothing can be written: at least say it
        finally:
            with suppress(OSError):
                temporary.unlink()
        return True


def state_file(directory: Path, rank: int) -> Path:
    """Where a rank's state stands while it trains."""
    return directory / f"{rank}.json"


def stack_file(directory: Path, rank: int) -> Path:
    """Where the stacks of a rank's threads stand when a training was ended."""
    return directory / f"{rank}.stack"


def read_trouble(directory: Path) -> Trouble | None:
    """What a rank has announced."""
    values = _read(directory / "trouble.json")
    return None if values is None else Trouble(**values)


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
            return Trouble(what, f"mend it; {_AGAIN}", state.ended)
    gone = [state for state in states.values() if state.gone]
    # A rank that ends well takes its file away first: what is there after it is gone is not of such a one.
    lost = [state for state in gone if state_file(directory, state.rank).exists()]
    if not lost:
        return None
    processes = ", ".join(f"process {state.pid} on {state.host}" for state in lost)
    return Trouble(
        f"{_names([state.rank for state in lost])} died ({processes})",
        "unless it has told why, it may have been killed for its memory: see dmesg or the cluster's log; "
        + _AGAIN,
    )


def find_behind(states: Mapping[int, RankState], silent: Collection[int], seconds: float) -> Trouble:
    """Who keeps the others waiting, after no rank has made progress for some time.

    Args:
        states: Of all ranks.
        silent: Those that give no sign of life.
        seconds: Without progress.
    """
    head = f"no progress for {seconds:g} s (training.watchdog)"
    if silent:
        return Trouble(
            f"{head}: {_names(silent)} gave no sign of life: stopped (SIGSTOP), in a call that lets no other "
            "thread of Python run, or the machine is lost",
            f"see that process and its machine; {_AGAIN}",
        )
    first = min(state.turn for state in states.values())
    behind = [rank for rank, state in states.items() if state.turn == first]
    mend = f"the stacks tell what it waits for; {_AGAIN}; if it was only slow, raise training.watchdog"
    if len(behind) == len(states) > 1:
        return Trouble(f"{head}: all ranks stand at the same place", mend)
    about = f"{_names(behind)} hangs" if len(behind) == 1 else f"{_names(behind)} hang"
    return Trouble(f"{head}: {about}" + (", the others wait" if len(states) > 1 else ""), mend)


def tell(directory: Path, trouble: Trouble, log: Path) -> None:
    """Say on stderr, at the end of the stage's log and in ``report.txt`` what happened.

    Not through a logger: a thread that hangs may hold its lock.
    """
    text = report(directory, trouble)
    print(f"espnet3: {text}", file=sys.stderr, flush=True)
    with suppress(OSError), log.open("a", encoding="utf-8") as stream:
        stream.write(f"{text}\n")
    with suppress(OSError):
        (directory / "report.tmp").write_text(f"{text}\n", "utf-8")
        os.replace(directory / "report.tmp", directory / "report.txt")


def is_told(directory: Path) -> bool:
    """Whether :func:`tell` is done."""
    return (directory / "report.txt").exists()


def report(directory: Path, trouble: Trouble) -> str:
    """What happened, and each rank's place, last ids and innermost frames of the main thread."""
    states = read_states(directory)
    lines = [f"training was ended: {trouble.what}"]
    for rank in range(max((state.ranks for state in states.values()), default=0)):
        state = states.get(rank)
        lines.append(f"  rank {rank}: {'nothing is known' if state is None else _place(state)}")
        lines += _frames(stack_file(directory, rank))
    stacks = [path.name for path in sorted(directory.glob("*.stack"))]
    lines.append(f"  stacks of all threads: {directory}: {', '.join(stacks)}" if stacks else "  no stacks")
    return "\n".join([*lines, f"  -> {trouble.hint}"])


def aftermath(directory: Path, log: Path, *, told: bool) -> Trouble | None:
    """For the process that started those of a training which failed: none is left alive, and why is told.

    Args:
        directory: ``ranks`` of the experiment.
        log: Of the stage.
        told: Whether rank 0 was able to say what was wrong: no signal has killed it.

    Returns:
        What its processes have found or left; None when rank 0 itself has said it.
    """
    states = read_states(directory)
    wait_for(lambda: all(state.gone for state in states.values() if state.here), _SETTLE)
    end_others(states)
    trouble = read_trouble(directory) or (None if told else find_lost(directory, states))
    if trouble is not None and not is_told(directory):
        trouble.claim(directory)
        tell(directory, trouble, log)
    return trouble


def end_others(states: Mapping[int, RankState]) -> None:
    """Kill the other ranks on this machine. A stopped process takes no other signal."""
    for state in states.values():
        if state.here and state.pid != os.getpid() and not state.gone:
            with suppress(OSError):
                os.kill(state.pid, signal.SIGKILL)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Return when a condition holds, or some time has passed."""
    end = time.monotonic() + seconds
    while not condition() and (left := end - time.monotonic()) > 0:
        time.sleep(min(0.1, left))


def shown(names: Collection[Any]) -> list[str]:
    """Ids as a state holds them: not all of a large batch."""
    words = [str(name)[:80] for name, _ in zip(names, range(_MOST_IDS), strict=False)]
    return words + ([f"and {len(names) - _MOST_IDS} more"] if len(names) > _MOST_IDS else [])


def _place(state: RankState) -> str:
    since = datetime.fromtimestamp(state.since).strftime("%H:%M:%S")
    batch = f", batch {state.batch}" if state.batch >= 0 else ""
    words = f"step {state.step}, epoch {state.epoch}{batch}, {state.doing} since {since}"
    words += f"; last ids: {' '.join(state.ids) or 'none'}"
    return words + (f"; waits for: {' '.join(state.awaits)}" if state.awaits else "")


def _frames(stack: Path) -> list[str]:
    """The innermost frames of the main thread, which faulthandler writes last."""
    try:
        lines = stack.read_text("utf-8").strip().split("\n\n")[-1].splitlines()[1:]
    except OSError:
        return []
    return [f"  {line}" for line in lines[:_FRAMES]]


def _names(ranks: Collection[int]) -> str:
    words = ", ".join(map(str, sorted(ranks)))
    return f"rank {words}" if len(ranks) == 1 else f"ranks {words}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
