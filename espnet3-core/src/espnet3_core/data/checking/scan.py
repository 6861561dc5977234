"""Examining many utterances in several processes, going on where an interrupted check stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from espnet3_core.data.checking.audio import Facts, Job, examine
from espnet3_core.data.lengths import cache_directory
from espnet3_core.files import disk_errors, make_directory
from espnet3_core.infer.config import ProcessesConfig
from espnet3_core.infer.executors import InProcess, Processes, WorkerLost
from espnet3_core.recipe.progress import progress

VERSION = 1
"""Of the facts: those that another version kept are not used."""
_SHARD = 32


@dataclass(frozen=True)
class Examiner:
    """Set-up of a worker process."""

    jobs: tuple[Job, ...]

    def __call__(self) -> Callable[[Sequence[int]], list[Facts]]:
        """The function that examines a shard."""
        return lambda shard: [examine(self.jobs[index]) for index in shard]


def scan(jobs: Sequence[Job], *, workers: int, name: str) -> dict[Job, Facts]:
    """Facts of every job.

    What was found is kept in the cache at once, by path, size and time of modification of the file: a check
    that is interrupted and started again does the rest. Problems are not kept.

    Args:
        jobs: What to examine; equal ones once.
        workers: Processes; 1 for this one.
        name: Of the cache, such as the recipe's folder.
    """
    kept = _Kept(name)
    found: dict[Job, Facts] = {}
    keys = {job: _identity(job) for job in dict.fromkeys(jobs)}
    known = kept.read()
    for job, key in keys.items():
        if key in known:
            found[job] = known[key]
    left = [job for job in keys if job not in found]
    try:
        with progress("data check", len(left), "utterances") as advance:
            for job, facts in _examined(left, workers):
                found[job] = facts
                kept.add(keys[job], facts)
                advance(1)
    finally:
        kept.close()
    return found


def _examined(jobs: Sequence[Job], workers: int, size: int = _SHARD) -> Iterator[tuple[Job, Facts]]:
    """Jobs and their facts, as they come; a file that ends the process which reads it is found out."""
    shards = [range(start, min(start + size, len(jobs))) for start in range(0, len(jobs), size)]
    if not shards:
        return
    count = min(workers, len(shards))
    executor = Processes(ProcessesConfig(workers=count, attempts=1)) if workers > 1 else InProcess()
    lost: list[Job] = []
    for number, outcome in executor.run(Examiner(tuple(jobs)), shards):
        shard = [jobs[index] for index in shards[number]]
        if not isinstance(outcome, WorkerLost):
            yield from zip(shard, outcome, strict=True)
        elif len(shard) > 1:
            lost += shard
        else:
            reason = f"{shard[0].path}: {outcome.reason} while reading it"
            yield shard[0], Facts(problem="damaged", reason=reason)
    yield from _examined(lost, workers, 1)


def _identity(job: Job) -> str | None:
    """A job with what tells whether its file is still the same; None without a file."""
    with suppress(OSError):
        stat = os.stat(job.path)
        return json.dumps([job.path, stat.st_size, stat.st_mtime_ns, job.start, job.end])
    return None


class _Kept:
    """Facts in the cache, one line each."""

    def __init__(self, name: str) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        self.file: Path = cache_directory() / "data_check" / f"{digest}.v{VERSION}.jsonl"
        self._stream: IO[bytes] | None = None

    def read(self) -> dict[str | None, Facts]:
        known: dict[str | None, Facts] = {}
        with suppress(OSError):
            for line in self.file.read_bytes().split(b"\n"):
                with suppress(ValueError, TypeError):  # a line that was cut off
                    key, facts = json.loads(line)
                    known[key] = Facts(**facts)
        return known

    def add(self, key: str | None, facts: Facts) -> None:
        if key is None or facts.problem:
            return
        with disk_errors(self.file):
            if self._stream is None:
                make_directory(self.file.parent)
                self._stream = self.file.open("ab")
                self._stream.write(b"\n")  # ends a line that was cut off
            values: list[Any] = [key, facts.to_dict()]
            self._stream.write(f"{json.dumps(values)}\n".encode())
            self._stream.flush()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
