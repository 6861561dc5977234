from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from espnet3_core.errors import UserError
from espnet3_core.files import (
    atomic_open,
    atomic_write_bytes,
    atomic_write_json,
    atomic_write_text,
    disk_errors,
    file_digest,
    make_directory,
    sha256_file,
)


def test_content_appears_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a/b.txt"
    with atomic_open(path) as stream:
        stream.write("ä\n")
        assert not path.exists()
    assert path.read_bytes() == "ä\n".encode()
    atomic_write_bytes(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    atomic_write_json(path, {"k": [1, "ü"]})
    assert json.loads(path.read_text("utf-8")) == {"k": [1, "ü"]}
    assert os.listdir(path.parent) == ["b.txt"]


def test_a_failed_block_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old")

    def half() -> None:
        with atomic_open(path) as stream:
            stream.write("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]
    with pytest.raises(ValueError, match="NaN|JSON"):
        atomic_write_json(path, float("nan"))
    assert path.read_text() == "old"


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write_text(path, "old")
    code = (
        "import os, sys; from espnet3_core.files import atomic_open\n"
        "with atomic_open(sys.argv[1]) as s:\n s.write('x' * 100000); s.flush(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert path.read_text() == "old"


def test_symbolic_links_are_followed_and_permissions_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "real/a.txt")
    atomic_write_text(link, "x")
    assert link.is_symlink()
    (tmp_path / "plain").write_text("x")
    assert (tmp_path / "real/a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("number", "problem"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission denied")],
)
def test_disk_problems_are_explained_with_the_path(tmp_path: Path, number: int, problem: str) -> None:
    with (
        pytest.raises(UserError, match=rf"cannot write .*a\.txt: .*{problem}") as caught,
        disk_errors(tmp_path / "a.txt"),
    ):
        raise OSError(number, "x")
    assert caught.value.hint
    with pytest.raises(UserError, match=problem), disk_errors(tmp_path / "a.txt"):
        raise RuntimeError("unexpected pos") from OSError(number, "x")
    with pytest.raises(UserError, match=r"cannot write there: "), disk_errors(tmp_path):
        raise OSError(number, "x", "here", None, "there")  # what copying raises


def test_a_really_full_disk(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full here")
    with open("/dev/full", "w") as stream:
        stream.write("x" * 10)
        with (
            pytest.raises(UserError, match="cannot write /dev/full: the disk is full"),
            disk_errors("/dev/full"),
        ):
            stream.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    with pytest.raises(UserError, match="cannot write"):
        make_directory(tmp_path / "a/b")
    with pytest.raises(UserError, match="cannot write"):
        atomic_write_text(tmp_path / "a/b/c.txt", "x")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="bug"), disk_errors("x"):
        raise RuntimeError("bug")
    with pytest.raises(FileNotFoundError), disk_errors("x"):
        raise FileNotFoundError(errno.ENOENT, "x")


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert file_digest(tmp_path / "a", "md5") == hashlib.md5(b"abc" * 100_000).hexdigest()
