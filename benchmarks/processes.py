"""A side of a benchmark in its own process, and what the system says of it (Linux)."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its children that ended, and its descendants that live."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = sum(int(value) for value in fields[11:15]) / TICKS
    return own + sum(cpu_seconds(int(child)) for child in children)


def busy_seconds() -> float:
    """CPU time of the whole machine."""
    with open("/proc/stat") as stream:
        values = [int(value) for value in stream.readline().split()[1:]]
    return (sum(values[:3]) + sum(values[5:8])) / TICKS


class Side:
    """A process that runs ``side.py``.

    Args:
        command: What to start.
        threads: Threads of its numerical libraries.
        ours: Whether it sees this environment's ``PYTHONPATH``.

    Attributes:
        facts: What it said of its work when that was ready.
    """

    def __init__(self, command: list[str], threads: int, *, ours: bool) -> None:
        environment = {**os.environ, "PYTHONNOUSERSITE": "1", "PYTHONWARNINGS": "ignore"}
        # Waiting threads must not spin: the other side's process is there, too.
        environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        if not ours:
            environment.pop("PYTHONPATH", None)
        environment["PATH"] = os.pathsep.join([os.path.dirname(command[0]), environment["PATH"]])
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.facts: dict[str, Any] = self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self._process.args)} failed with code {self._process.wait()}")  # type: ignore[arg-type]
        return json.loads(line)

    def ask(self, command: str) -> Any:
        """Send a command and wait for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def timed(self) -> dict[str, Any]:
        """One run: wall time, CPU time with children, cores that other processes kept busy meanwhile."""
        pid, start = self._process.pid, time.perf_counter()
        own, all_ = cpu_seconds(pid), busy_seconds()
        found: dict[str, Any] = self.ask("run")
        own, all_ = cpu_seconds(pid) - own, busy_seconds() - all_
        others = max(0.0, (all_ - own) / (time.perf_counter() - start))
        return {**found, "cpu_s": round(own, 3), "others_cores": round(others, 2)}

    def peak_mib(self) -> float:
        """Largest resident memory so far; worker processes not counted."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return round(int(line.split()[1]) / 1024, 1)
        return 0.0

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
