from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from espnet3_core.data.builder import MARKER, DatasetBuilder, run_builder, verify_checksum
from espnet3_core.data.lock import file_lock
from espnet3_core.errors import UserError


class Words(DatasetBuilder):
    """Copies a source file, and notes which steps ran."""

    def __init__(self, base: Path, version: int = 1) -> None:
        self.source = base / "source.txt"
        self.output = base / "data"
        self.version = version
        self.steps: list[str] = []
        self.stop_at: str | None = None

    def settings(self) -> Mapping[str, Any]:
        return {"version": self.version}

    def is_source_prepared(self) -> bool:
        return self.source.exists()

    def prepare_source(self) -> None:
        self.steps.append("prepare")
        self.source.write_text("one two")

    def build(self) -> None:
        with self.building() as folder:
            for word in self.source.read_text().split():
                if (folder / word).exists():
                    continue
                self.steps.append(word)
                if word == self.stop_at:
                    raise KeyboardInterrupt
                (folder / word).write_text(f"{word} {self.version}")


def test_four_steps_run_once(tmp_path: Path) -> None:
    builder = Words(tmp_path)
    assert run_builder(builder) is True
    assert builder.steps == ["prepare", "one", "two"]
    assert sorted(path.name for path in builder.output.iterdir()) == [MARKER, "one", "two"]
    assert run_builder(builder) is False
    assert builder.steps == ["prepare", "one", "two"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "source.txt"]


def test_what_is_built_needs_no_source(tmp_path: Path) -> None:
    builder = Words(tmp_path)
    run_builder(builder)
    builder.source.unlink()
    assert run_builder(builder) is False
    assert builder.steps == ["prepare", "one", "two"]


def test_an_interrupted_build_is_continued_and_never_looks_complete(tmp_path: Path) -> None:
    builder = Words(tmp_path)
    builder.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run_builder(builder)
    assert not builder.output.exists()
    again = Words(tmp_path)
    assert not again.is_built()
    run_builder(again)
    assert again.steps == ["two"]
    assert (again.output / "one").read_text() == "one 1"


def test_other_settings_build_anew_and_keep_the_old_until_then(tmp_path: Path) -> None:
    run_builder(Words(tmp_path))
    changed = Words(tmp_path, version=2)
    changed.stop_at = "two"
    with pytest.raises(KeyboardInterrupt):
        run_builder(changed)
    assert (tmp_path / "data/two").read_text() == "two 1"
    third = Words(tmp_path, version=3)
    run_builder(third)
    assert third.steps == ["one", "two"]
    assert (tmp_path / "data/one").read_text() == "one 3"
    assert json.loads((tmp_path / "data" / MARKER).read_text())["settings"] == {"version": 3}


def test_steps_that_do_not_do_their_work_are_told(tmp_path: Path) -> None:
    class NoSource(Words):
        def prepare_source(self) -> None:
            pass

    class NoOutput(Words):
        def build(self) -> None:
            pass

    with pytest.raises(UserError, match="NoSource: the corpus is still not there"):
        run_builder(NoSource(tmp_path))
    with pytest.raises(UserError, match="not complete after build"):
        run_builder(NoOutput(tmp_path))


def test_a_running_process_keeps_others_out(tmp_path: Path) -> None:
    with file_lock(tmp_path / ".data.lock"), pytest.raises(UserError, match=f"process {os.getpid()} on"):
        run_builder(Words(tmp_path))
    run_builder(Words(tmp_path))


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import os, sys; from espnet3_core.data.lock import file_lock\n"
        "with file_lock(sys.argv[1]): os.kill(os.getpid(), 9)"
    )
    lock = tmp_path / "x.lock"
    subprocess.run([sys.executable, "-c", code, str(lock)], check=False)
    assert lock.exists()
    with file_lock(lock):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_reused_process_number_is_not_the_owner(tmp_path: Path) -> None:
    if not Path("/proc/self/stat").exists():
        pytest.skip("start times of processes are read from /proc")
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "started": "1"}
    (tmp_path / "x.lock").write_text(json.dumps(owner))
    with file_lock(tmp_path / "x.lock"):
        pass


def test_locks_of_other_machines_are_respected(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(UserError, match="process 1 on elsewhere") as caught, file_lock(tmp_path / "x.lock"):
        pass
    assert "delete this file" in str(caught.value)


def test_checksums(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    verify_checksum(path, sha256="BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD")
    verify_checksum(path, md5="900150983cd24fb0d6963f7d28e17f72")
    with pytest.raises(UserError, match=r"a\.bin is damaged or another version: md5 9001.*expected 0000"):
        verify_checksum(path, md5="0000")
    with pytest.raises(UserError, match="cannot read"):
        verify_checksum(tmp_path / "none", md5="0000")
