"""What the tests of authoring share."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def installed(plugins):
    """Make a package of a folder importable as an installed one is: its files, and their metadata."""

    def install(folder: Path, namespace: str = "acme") -> None:
        package = f"espnet3_{namespace}"
        shutil.copytree(folder / "src" / package, plugins.directory / package)
        info = plugins.directory / f"{package}-0.1.0.dist-info"
        info.mkdir()
        name = package.replace("_", "-")
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\nRequires-Dist: espnet3-core>=0.1\n"
        )
        (info / "entry_points.txt").write_text(f"[espnet3.v1]\n{namespace} = {package}._plugin\n")

    return install


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    """An empty current folder."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def tree():
    """All files below a folder, without those of experiments and of Python's cache."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file() and not {"__pycache__", "exp"} & set(path.parts)
        }

    return read
