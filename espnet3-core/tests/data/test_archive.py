from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from espnet3_core.data.archive import extract
from espnet3_core.errors import UserError

FILES = {"corpus/a.txt": b"one", "corpus/sub/b.txt": os.urandom(50_000)}


def make(path: Path, files: dict[str, bytes] = FILES) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    mode = {"gz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}.get(path.suffix[1:], "w")
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz", "a.zip"])
def test_archives_are_unpacked_and_merged_into_what_is_there(tmp_path: Path, name: str) -> None:
    target = tmp_path / "out"
    (target / "corpus").mkdir(parents=True)
    (target / "corpus/kept.txt").write_text("kept")
    assert extract(make(tmp_path / name), target) == target
    found = {str(p.relative_to(target)): p.read_bytes() for p in target.rglob("*") if p.is_file()}
    assert found == {**FILES, "corpus/kept.txt": b"kept"}


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tar.xz", "a.zip"])
def test_cut_off_archives_leave_nothing(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="damaged or cut off"):
        extract(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
@pytest.mark.parametrize("entry", ["../evil.txt", "corpus/../../evil.txt"])
def test_entries_that_lead_outside_are_refused(tmp_path: Path, name: str, entry: str) -> None:
    path = make(tmp_path / name, {"a.txt": b"fine", entry: b"evil"})
    with pytest.raises(UserError, match="refused"):
        extract(path, tmp_path / "deep/out")
    assert list((tmp_path / "deep/out").iterdir()) == []
    assert not list(tmp_path.rglob("evil.txt"))


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(UserError, match="refused"):
        extract(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
def test_too_much_is_refused(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / name)
    with pytest.raises(UserError, match="more than 1000 bytes"):
        extract(path, tmp_path / "out", max_bytes=1000)
    with pytest.raises(UserError, match="more than 1 files"):
        extract(path, tmp_path / "out", max_files=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_is_no_archive_or_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"a\.tar\.gz is damaged"):
        extract(tmp_path / "a.tar.gz", tmp_path / "out")
    with pytest.raises(UserError, match="does not exist"):
        extract(tmp_path / "none.zip", tmp_path / "out")
