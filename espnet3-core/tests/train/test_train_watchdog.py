"""One of two ranks is lost: the run ends with a report, nothing is left alive, and the same goes on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from resume_cases import script


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    lines = script("lost_ranks.py", str(tmp_path_factory.mktemp("lost")), "kill", "stop", "stuck")
    return {line["way"]: line for line in lines}


def _rank(report: str, rank: int) -> str:
    (line,) = re.findall(rf"^  rank {rank}: (.*)$", report, re.MULTILINE)
    return str(line)


def test_a_healthy_training_leaves_nothing(found: dict[str, Any]) -> None:
    assert found["healthy"] == {"way": "healthy", "code": 0, "left": False}


@pytest.mark.parametrize("way", ["kill", "stop", "stuck"])
def test_the_run_ends_with_every_ranks_ids_and_goes_on_bit_for_bit(found: dict[str, Any], way: str) -> None:
    lost = found[way]
    assert lost["code"] != 0 and lost["seconds"] < 60 and lost["alive"] == []
    for rank in (0, 1):
        if way == "stuck" and rank == 0:
            continue  # it is a batch ahead
        line = _rank(lost["report"], rank)
        assert "step 4, epoch 1, batch 1, " in line or way == "stuck"
        assert f"last ids: {' '.join(lost['ids'][rank])}" in line
    assert "the same command goes on from the last checkpoint" in lost["report"]
    assert "all_reduce" in lost["stacks"]["0.stack"] or way == "kill"
    assert (lost["again"], lost["differing"], lost["left"]) == (0, [], False)


def test_a_killed_rank_is_named(found: dict[str, Any]) -> None:
    first = found["kill"]["report"].splitlines()[0]
    assert re.fullmatch(r"training was ended: rank 1 died \(process \d+ on .+\)", first)
    assert found["kill"]["stacks"].keys() == {"0.stack"}


def test_a_stopped_rank_is_named_and_cannot_show_its_stacks(found: dict[str, Any]) -> None:
    assert "no progress for 2 s (training.watchdog): rank 1 gave no sign of life" in found["stop"]["report"]
    assert found["stop"]["stacks"].keys() == {"0.stack"}


def test_a_rank_that_waits_for_an_utterance_is_named_with_its_place_in_the_code(
    found: dict[str, Any],
) -> None:
    lost = found["stuck"]
    assert "no progress for 2 s (training.watchdog): rank 1 hangs, the others wait" in lost["report"]
    line = _rank(lost["report"], 1)
    assert "waiting for a batch" in line and line.endswith(f"waits for: {' '.join(lost['waits'])}")
    assert "in never" in lost["stacks"]["1.stack"]  # the function of the dataset that does not return
    assert "in the forward pass" in _rank(lost["report"], 0)


def test_paths_are_files_of_the_experiment(found: dict[str, Any]) -> None:
    (place,) = re.findall(r"^  stacks: (.*): 0.stack, 1.stack$", found["stuck"]["report"], re.MULTILINE)
    assert Path(place).name == "ranks"
