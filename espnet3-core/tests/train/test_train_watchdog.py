"""One of two ranks is lost: the run ends with a report, nothing is left alive, and the same goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
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
