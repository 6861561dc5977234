"""Real processes, killed with SIGKILL at random micro-batches, and continued by the same command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from resume_cases import SETTINGS

HERE = Path(__file__).parent


def script(name: str, *arguments: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(HERE / name), *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


@pytest.mark.parametrize(
    "kills", [2, pytest.param(20, marks=pytest.mark.slow)], ids=["two kills", "twenty kills"]
)
def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path, kills: int) -> None:
    proofs = script("kills.py", str(tmp_path), str(kills), "3", *SETTINGS)
    assert [proof["setting"] for proof in proofs] == list(SETTINGS)
    for proof in proofs:
        assert proof["ended"] == 0, proof
        assert proof["killed"] == proof["kills"] > kills / 2, proof
        assert proof["differing"] == [], proof


@pytest.mark.parametrize("which", ["each-kind", pytest.param("all", marks=pytest.mark.slow)])
def test_a_write_that_fails_or_is_killed_leaves_a_whole_state(tmp_path: Path, which: str) -> None:
    (found,) = script("faults.py", str(tmp_path), which)
    assert found["problems"] == {}
    for kind in (
        "open .last.ckpt.tmp", "write .last.ckpt.tmp", "fsync .last.ckpt.tmp", "close .last.ckpt.tmp",
        "rename to previous.ckpt", "rename to last.ckpt", "rename to index.json", "fsync .index.json.tmp",
        "rename to average.safetensors", "write metrics.jsonl", "fsync metrics.jsonl",
    ):  # fmt: skip
        assert kind in found["kinds"]
