"""One of two ranks is lost: the run ends with a report, nothing is left alive, and the same goes on."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from espnet3_core.recipe.ranks import RankState, Trouble, read_states
from espnet3_core.train.watchdog import Watch, Watchdog
from resume_cases import script

WAYS = ("kill", "stop", "stuck", "worker")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lines = script("lost_ranks.py", str(tmp_path_factory.mktemp("lost")), *WAYS)
    return {line["way"]: line for line in lines}


def _rank(report: str, rank: int) -> str:
    (line,) = re.findall(rf"^  rank {rank}: (.*)$", report, re.MULTILINE)
    return str(line)


def test_a_healthy_training_leaves_nothing(found: dict[str, Any]) -> None:
    assert found["healthy"] == {"way": "healthy", "code": 0, "left": False}


@pytest.mark.parametrize("way", WAYS)
def test_the_run_ends_with_a_report_and_goes_on_bit_for_bit(found: dict[str, Any], way: str) -> None:
    lost = found[way]
    assert (lost["code"], lost["alive"], lost["reader"]) == (1, [], False)
    assert lost["seconds"] < 60
    assert lost["report"] == lost["log"]
    assert "the same command goes on from the last checkpoint" in lost["report"]
    assert (lost["again"], lost["differing"], lost["left"]) == (0, [], False)


@pytest.mark.parametrize("way", ["kill", "stop"])
def test_the_report_has_every_ranks_place_and_ids(found: dict[str, Any], way: str) -> None:
    lost = found[way]
    for rank in (0, 1):
        line = _rank(lost["report"], rank)
        assert line.startswith("step 4, epoch 1, batch 1, in the forward pass since ")
        assert line.endswith(f"; last ids: {' '.join(lost['ids'][rank])}")


@pytest.mark.parametrize("way", WAYS)
def test_the_report_has_the_stacks_of_every_rank_that_has_some(found: dict[str, Any], way: str) -> None:
    lost = found[way]
    both = {"0.stack", "1.stack"} if way in ("stuck", "worker") else {"0.stack"}
    if way == "kill":  # rank 0 may be gone before it knows: an error of gloo ends a forked process at once
        assert lost["stacks"].keys() <= both
        return
    assert lost["stacks"].keys() == both
    frames = re.findall(r"^    File .* in (\w+)$", lost["report"], re.MULTILINE)
    if way != "worker":  # there rank 0 may be leaving already when it is looked at
        assert "all_reduce" in frames  # where rank 0 waits
    assert ("never" in frames) == (way == "stuck")  # the function of the dataset that does not return


def test_a_killed_rank_is_named(found: dict[str, Any]) -> None:
    first = found["kill"]["report"].splitlines()[0]
    assert re.fullmatch(r"training was ended: ranks? (0, )?1 died \(.*process \d+ on .+\)", first)


def test_a_stopped_rank_is_named(found: dict[str, Any]) -> None:
    assert "no progress for 2 s (training.watchdog): rank 1 gave no sign of life" in found["stop"]["report"]


@pytest.mark.parametrize("way", ["stuck", "worker"])
def test_a_rank_that_waits_for_an_utterance_is_named(found: dict[str, Any], way: str) -> None:
    lost = found[way]
    assert "no progress for 2 s (training.watchdog): rank 1 hangs, the others wait" in lost["report"]
    line = _rank(lost["report"], 1)
    assert "waiting for a batch" in line and line.endswith(f"waits for: {' '.join(lost['waits'])}")
    assert "in the forward pass" in _rank(lost["report"], 0)


def test_paths_are_files_of_the_experiment(found: dict[str, Any]) -> None:
    (place,) = re.findall(
        r"^  stacks of all threads: (.*): 0.stack, 1.stack$", found["stuck"]["report"], re.M
    )
    assert Path(place).name == "ranks"


class Ended(BaseException):
    """Instead of the end of the process."""


class Clock:
    """Two ranks whose watchdogs are asked by hand: no time passes."""

    def __init__(self, directory: Path) -> None:
        trainer: Any = SimpleNamespace(
            train_dataloader=None, val_dataloaders=None, current_epoch=0, global_step=0
        )
        self.trainer = trainer
        self.ranks = [Watchdog(directory, directory / "log", SECONDS) for _ in range(2)]
        for number, rank in enumerate(self.ranks):
            rank.state = RankState(rank=number, ranks=2)
            rank._watch = Watch(directory, directory / "log", rank.state, SECONDS, trainer)

    def passes(self, seconds: float) -> None:
        for rank in self.ranks:
            assert rank._watch is not None
            rank._watch.look(seconds)


SECONDS = 100.0


@pytest.fixture
def clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clock:
    def conclude(self: Watch, trouble: Trouble, error: Any = None) -> None:
        raise Ended(trouble.what)

    monkeypatch.setattr(Watch, "_conclude", conclude)
    return Clock(tmp_path)


def batch(clock: Clock, number: int, ranks: Sequence[int] = (0, 1)) -> None:
    for rank in ranks:
        watched, module = clock.ranks[rank], cast(Any, None)
        watched.on_train_batch_start(clock.trainer, module, {"ids": [f"utt{number}"]}, number)
        watched.on_before_backward(clock.trainer, module, None)
        watched.on_train_batch_end(clock.trainer, module, None, None, number)


def test_the_first_batch_may_take_ten_times_as_long(clock: Clock) -> None:
    clock.passes(1)
    clock.passes(9 * SECONDS)
    with pytest.raises(Ended, match="no progress for 1000 s"):
        clock.passes(SECONDS)


def test_writing_a_checkpoint_may_take_ten_times_as_long(clock: Clock) -> None:
    batch(clock, 0)
    for rank in clock.ranks:
        rank.on_save_checkpoint(clock.trainer, cast(Any, None), {})
    clock.passes(1)
    clock.passes(9 * SECONDS)
    batch(clock, 1)
    clock.passes(1)
    clock.passes(0.9 * SECONDS)
    with pytest.raises(Ended, match="no progress for 100 s"):
        clock.passes(0.1 * SECONDS)


def test_a_long_validation_is_progress_on_whichever_rank(clock: Clock) -> None:
    batch(clock, 0)
    for rank in clock.ranks:
        rank.on_validation_start(clock.trainer, cast(Any, None))
    for number in range(20):  # rank 1 has no batches and waits for rank 0
        clock.ranks[0].on_validation_batch_start(clock.trainer, cast(Any, None), {"ids": []}, number)
        clock.passes(0.9 * SECONDS)
    clock.ranks[1].on_validation_epoch_end(clock.trainer, cast(Any, None))
    clock.passes(1)
    with pytest.raises(Ended, match="rank 0 hangs, the others wait"):
        clock.passes(SECONDS)


def test_an_error_that_all_ranks_meet_is_nobodys(clock: Clock) -> None:
    batch(clock, 0)
    clock.passes(1)
    watch = clock.ranks[1]._watch
    assert watch is not None
    watch.failed(2, "a mistake")
    assert clock.ranks[0]._watch is not None
    clock.ranks[0]._watch.look(1)  # it may meet it in the next moment
    with pytest.raises(Ended, match="rank 1 ended with an error, and the others cannot go on: a mistake"):
        clock.ranks[0]._watch.look(5)


def test_a_large_batch_is_told_in_part_and_costs_little(clock: Clock) -> None:
    ids = [f"speaker{number:05d}-utterance" for number in range(2000)]
    clock.ranks[0].on_train_batch_start(clock.trainer, cast(Any, None), {"ids": ids}, 0)
    state = read_states(clock.ranks[0].directory)[0]
    assert (len(state.ids), state.ids[-1]) == (33, "and 1968 more")
    begun = time.process_time()
    for number in range(1000):
        batch(clock, number)
    assert (time.process_time() - begun) / 2000 < 1e-4  # seconds per step of a rank
