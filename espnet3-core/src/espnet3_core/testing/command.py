"""Running the command line in tests."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Completed:
    """What a command left.

    Attributes:
        code: Exit code.
        stdout: What it printed.
        stderr: Its messages.
    """

    code: int
    stdout: str
    stderr: str


class CommandLine:
    """Runs ``espnet3``; see the fixture ``cli``."""

    def __call__(
        self,
        *arguments: str | Path,
        fresh: bool = False,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> Completed:
        """Run a command.

        Args:
            arguments: Its words, without ``espnet3``.
            fresh: Run it in a process of its own, as a shell would. In this process, current folder and
                environment are this process's, and are as before afterwards.
            cwd: Current folder.
            env: Environment variables that are added.
            timeout: Seconds that a process of its own may take.
        """
        words = [str(word) for word in arguments]
        run = _in_fresh_process if fresh else _here
        return run(words, cwd, {**os.environ, **(env or {})}, timeout)


def _in_fresh_process(words: list[str], cwd: Path | None, env: dict[str, str], timeout: float) -> Completed:
    done = subprocess.run(
        [sys.executable, "-m", "espnet3_core", *words],
        cwd=cwd, env=env, timeout=timeout, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return Completed(done.returncode, done.stdout, done.stderr)


def _here(words: list[str], cwd: Path | None, env: dict[str, str], _: float) -> Completed:
    from espnet3_core.cli.main import main

    before, folder = dict(os.environ), os.getcwd()
    out, err = io.StringIO(), io.StringIO()
    try:
        os.environ.update(env)
        os.chdir(cwd or folder)
        with redirect_stdout(out), redirect_stderr(err):
            try:
                code = main(words)
            except SystemExit as leaving:  # argparse, after it has printed the help
                code = int(leaving.code or 0)
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(before)
    return Completed(code, out.getvalue(), err.getvalue())
