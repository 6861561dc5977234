from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from espnet3_core.errors import UserError
from espnet3_core.infer.config import InProcessConfig, ProcessesConfig
from espnet3_core.infer.executors import InProcess, Processes, WorkerLost
from espnet3_core.infer.planning import batches_of

SHARDS = [[0, 1], [2], [3, 4, 5], [6], [7]]
SUMS = {0: 1, 1: 2, 2: 12, 3: 6, 4: 7}


@dataclass
class Setup:
    """Sums the items of a shard; a worker that meets item ``deadly`` dies, once or always."""

    folder: Path
    deadly: int = -1
    once: bool = True
    error: str = ""

    def __call__(self):
        if self.error == "setup":
            raise UserError("cannot set up", hint="mend it")
        if self.error == "died":
            os.kill(os.getpid(), signal.SIGKILL)
        (self.folder / f"setup-{os.getpid()}").touch()
        return self.handle

    def handle(self, shard):
        if self.error == "bug" and 3 in shard:
            raise ZeroDivisionError("by item 3")
        marker = self.folder / "died"
        if self.deadly in shard and not (self.once and marker.exists()):
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return sum(shard)


def outcomes(executor, setup):
    found = list(executor.run(setup, SHARDS))
    assert sorted(index for index, _ in found) == list(range(len(SHARDS)))
    return dict(found)


def processes(**options):
    return Processes(ProcessesConfig(**{"workers": 2, **options}))


def test_in_process_handles_every_shard_in_order(tmp_path):
    found = list(InProcess(InProcessConfig()).run(Setup(tmp_path), SHARDS))
    assert found == list(SUMS.items())


def test_in_process_reads_ahead():
    calls = []

    class Handle:
        def prefetch(self, shard):
            calls.append(("read", shard))

        def __call__(self, shard):
            calls.append(("handle", shard))

    list(InProcess().run(Handle, [[0], [1]]))
    assert calls == [("read", [0]), ("read", [1]), ("handle", [0]), ("handle", [1])]


def test_processes_set_up_once_each(tmp_path):
    assert outcomes(processes(), Setup(tmp_path)) == SUMS
    assert 1 <= len(list(tmp_path.glob("setup-*"))) <= 2


def test_a_lost_worker_costs_nothing_when_its_shard_can_be_done_again(tmp_path):
    assert outcomes(processes(), Setup(tmp_path, deadly=3)) == SUMS


def test_a_deadly_shard_is_lost_and_no_other(tmp_path):
    found = outcomes(processes(), Setup(tmp_path, deadly=3, once=False))
    lost = found.pop(2)
    assert isinstance(lost, WorkerLost)
    assert lost.reason == "the worker process was killed by SIGKILL (out of memory?)"
    assert found == {index: total for index, total in SUMS.items() if index != 2}


def test_one_worker_survives_a_deadly_shard(tmp_path):
    found = outcomes(processes(workers=1, attempts=1), Setup(tmp_path, deadly=0, once=False))
    assert isinstance(found[0], WorkerLost)
    assert found[4] == 7


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        ("setup", UserError, "cannot set up"),
        ("died", UserError, "while it was being set up"),
        ("bug", RuntimeError, "ZeroDivisionError: by item 3"),
    ],
)
def test_errors_of_workers_are_raised_here(tmp_path, error, kind, message):
    with pytest.raises(kind, match=message):
        outcomes(processes(), Setup(tmp_path, error=error))


def test_batches_hold_every_item_once_and_keep_their_limits():
    lengths = [1.0, 5.0, 2.0, 2.0, 9.0, 1.0]
    batches = batches_of(range(6), lengths, seconds=6.0, size=None)
    assert batches == [[4], [1], [2, 3, 0], [5]]
    assert batches_of(range(6), lengths, seconds=None, size=4) == [[4, 1, 2, 3], [0, 5]]
    assert batches_of([3, 5], lengths, seconds=6.0, size=None) == [[3, 5]]
    assert batches_of(range(6), None, seconds=6.0, size=4) == [[0, 1, 2, 3], [4, 5]]
    assert batches_of([], lengths, seconds=6.0, size=None) == []


def test_several_workers_get_some_batches_each():
    batches = batches_of(range(100), [1.0] * 100, seconds=1000.0, size=None, workers=2)
    assert len(batches) >= 8
