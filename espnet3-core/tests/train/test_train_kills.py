"""Real processes, killed at random micro-batches or in a write, and continued by the same command.

With every write, and with 20 kills in each setting: ``tests/proofs/test_resume_proofs.py``.
"""

from pathlib import Path

from resume_cases import SETTINGS, script


def test_a_killed_training_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    proofs = script("kills.py", str(tmp_path), "2", "3", *SETTINGS)
    assert [proof["setting"] for proof in proofs] == list(SETTINGS)
    for proof in proofs:
        assert proof["ended"] == 0, proof
        assert proof["killed"] == proof["kills"] == 3, proof
        assert proof["differing"] == [], proof


def test_a_write_that_fails_or_is_killed_leaves_a_whole_state(tmp_path: Path) -> None:
    (found,) = script("faults.py", str(tmp_path), "each-kind")
    assert found["problems"] == {}
    for kind in (
        "open .last.ckpt.tmp", "write .last.ckpt.tmp", "fsync .last.ckpt.tmp", "close .last.ckpt.tmp",
        "rename to previous.ckpt", "rename to last.ckpt", "rename to index.json", "fsync .index.json.tmp",
        "rename to average.safetensors", "unlink epoch.safetensors",
        "write metrics.jsonl", "fsync metrics.jsonl",
    ):  # fmt: skip
        assert kind in found["kinds"]
