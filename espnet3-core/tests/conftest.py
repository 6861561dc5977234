"""What core's tests share."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass
class Plugins:
    """A folder of throw-away distributions, written as an installer would leave them."""

    directory: Path

    def add(
        self,
        namespace: str,
        code: str = "",
        *,
        distribution: str | None = None,
        version: str = "1.0",
        requires: str = "espnet3-core>=0.1",
        group: str = "espnet3.v1",
        files: Mapping[str, str] | None = None,
    ) -> None:
        """Install a plugin whose module holds ``code``, and further files beside it."""
        name = distribution or f"espnet3-{namespace}"
        module = f"{name.replace('-', '_')}_plugin"
        (self.directory / f"{module}.py").write_text(
            "from espnet3_core.hookspecs import hookimpl\nfrom espnet3_core.specs import *\n" + code
        )
        for file, text in (files or {}).items():
            (self.directory / file).write_text(text)
        info = self.directory / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: {requires}\n"
        )
        (info / "entry_points.txt").write_text(f"[{group}]\n{namespace} = {module}\n")

    def environment(self, **extra: str) -> dict[str, str]:
        """Environment in which the plugins are on the path."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ESPNET3_")}
        path = [str(self.directory), *filter(None, [os.environ.get("PYTHONPATH")])]
        return {**inherited, "PYTHONPATH": os.pathsep.join(path), **extra}

    def espnet3(self, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "espnet3_core", *arguments],
            env=self.environment(**extra),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture
def plugins(tmp_path: Path) -> Plugins:
    directory = tmp_path / "site"
    directory.mkdir()
    return Plugins(directory)


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Run the command in this process: (exit code, stdout, stderr)."""
    from espnet3_core.cli.main import main

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
