"""Where shards of work run: in this process, or in a pool of processes that survives the loss of one."""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.infer.config import InProcessConfig, ProcessesConfig

Setup = Callable[[], Callable[[Sequence[int]], Any]]
Shards = Sequence[Sequence[int]]

WORKER = "ESPNET3_WORKER"
"""Environment variable: number of a worker process, from 0."""
_QUEUED = 2


@dataclass(frozen=True)
class WorkerLost:
    """The outcome of a shard whose process died each time that it was tried.

    Attributes:
        reason: How the process ended.
    """

    reason: str


class InProcess:
    """Handles one shard after another, in this process."""

    workers = 1

    def __init__(self, config: InProcessConfig | None = None) -> None:
        self.config = config or InProcessConfig()

    def run(self, setup: Setup, shards: Shards) -> Iterator[tuple[int, Any]]:
        """Yield ``(shard index, outcome)`` in the order of the shards."""
        handle = setup()
        prefetch = getattr(handle, "prefetch", None)
        for index, shard in enumerate(shards):
            if prefetch is not None and index + 1 < len(shards):
                prefetch(shard)
                prefetch(shards[index + 1])
            yield index, handle(shard)


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    shards: deque[int] = field(default_factory=deque)


class Processes:
    """A pool of spawned processes. Each has the shard it works on and the next one, which it reads ahead."""

    def __init__(self, config: ProcessesConfig) -> None:
        if config.workers < 1 or config.attempts < 1:
            raise UserError("core/processes: workers and attempts must be at least 1")
        self.config = config
        self.workers = config.workers

    def run(self, setup: Setup, shards: Shards) -> Iterator[tuple[int, Any]]:
        """Yield ``(shard index, outcome)`` as shards are finished.

        Raises:
            UserError: The set-up fails in a worker, or a worker dies in it.
        """
        pool = _Pool(setup, shards, self.config)
        try:
            yield from pool.outcomes()
        finally:
            pool.close()


class _Pool:
    def __init__(self, setup: Setup, shards: Shards, config: ProcessesConfig) -> None:
        self.payload = pickle.dumps(setup)
        self.shards = shards
        self.waiting = deque(range(len(shards)))
        self.lost = [0] * len(shards)
        self.config = config
        cores = os.cpu_count() or 1
        self.threads = config.threads or max(1, cores // config.workers)
        count = min(config.workers, len(shards))
        self.workers: list[_Worker | None] = [None] * count
        self.context = get_context("spawn")
        for number in range(count):
            self.workers[number] = self._start(number)

    def outcomes(self) -> Iterator[tuple[int, Any]]:
        done = 0
        while done < len(self.shards):
            alive = {worker.pipe: number for number, worker in enumerate(self.workers) if worker is not None}
            for pipe in wait(list(alive)):
                assert isinstance(pipe, Connection)
                for outcome in self._attend(alive[pipe], pipe):
                    done += 1
                    yield outcome

    def _attend(self, number: int, pipe: Connection) -> Iterator[tuple[int, Any]]:
        worker = self.workers[number]
        assert worker is not None
        try:
            kind, value = pipe.recv()
        except (EOFError, ConnectionError):
            yield from self._bury(number, worker)
            return
        if kind == "error":
            raise value
        if kind == "ready":
            worker.ready = True
        else:
            index = worker.shards.popleft()
            assert index == kind
        self._feed(worker)
        if kind != "ready":
            yield kind, value

    def _bury(self, number: int, worker: _Worker) -> Iterator[tuple[int, Any]]:
        """Put what a lost worker had back, and start another in its place."""
        worker.process.join()
        reason = _ending(worker.process.exitcode)
        if not worker.ready:
            raise UserError(
                f"a worker process {reason} while it was being set up",
                hint="it may need more memory than there is: use fewer workers",
            )
        self.workers[number] = None
        current = worker.shards.popleft() if worker.shards else None
        self.waiting.extendleft(reversed(worker.shards))
        if current is not None:
            self.lost[current] += 1
            if self.lost[current] >= self.config.attempts:
                yield current, WorkerLost(f"the worker process {reason}")
            else:
                self.waiting.append(current)
        if self.waiting:
            self.workers[number] = self._start(number)

    def _start(self, number: int) -> _Worker:
        ours, theirs = self.context.Pipe()
        process = self.context.Process(
            target=_work,
            args=(theirs, self.payload, number, self.threads),
            daemon=True,
            name=f"worker-{number}",
        )
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _feed(self, worker: _Worker) -> None:
        while self.waiting and len(worker.shards) < _QUEUED:
            index = self.waiting.popleft()
            with suppress(ConnectionError):  # a worker that has just died is noticed when it is read from
                worker.pipe.send((index, list(self.shards[index])))
            worker.shards.append(index)

    def close(self) -> None:
        for worker in self.workers:
            if worker is not None:
                worker.pipe.close()
                worker.process.terminate()
        for worker in self.workers:
            if worker is not None:
                worker.process.join(5)
                if worker.process.is_alive():
                    worker.process.kill()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"ended with exit code {code}"


def _work(pipe: Connection, payload: bytes, number: int, threads: int) -> None:
    """What a worker process does: set up once, then handle shards until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ[WORKER] = str(number)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    try:
        handle = pickle.loads(payload)()
        _limit_threads(threads)
        pipe.send(("ready", None))
        _serve(pipe, handle)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except BaseException as error:
        with suppress(OSError):
            pipe.send(("error", _sendable(error)))


def _serve(pipe: Connection, handle: Any) -> None:
    prefetch = getattr(handle, "prefetch", None)
    queue: deque[tuple[int, list[int]]] = deque()
    while True:
        while not queue or pipe.poll():
            index, shard = pipe.recv()
            queue.append((index, shard))
            if prefetch is not None:
                prefetch(shard)
        index, shard = queue.popleft()
        pipe.send((index, handle(shard)))


def _limit_threads(threads: int) -> None:
    """Torch may have been imported, with its own idea of threads, before this process knew its share."""
    import sys

    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)


def _sendable(error: BaseException) -> BaseException:
    if not isinstance(error, UserError):
        return RuntimeError(f"in a worker process:\n{''.join(traceback.format_exception(error))}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return UserError(error.message, hint=error.hint)
    return error
