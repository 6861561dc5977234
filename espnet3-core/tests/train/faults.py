"""Lets one write of a training fail, or kills the process in it: ``faults.py FOLDER all|each-kind``.

A training of two epochs is repeated with every operation that writes below its folder (open, write, flush,
close, fsync, rename, unlink) failing once with a full disk or a refused permission, and once with SIGKILL
right there; a write is cut in half. Then the same command runs again. Prints a JSON object at the end.
"""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espnet3_core.train.resume import find_resume
from resume_cases import differing, in_process, run_case

PLAIN_NAME = re.compile(
    r"[.][0-9]+[.][0-9a-f]{8}(?=[.]tmp$)|(?<=epoch)[0-9]+_step[0-9]+|(?<=average)_1_train[.]mae"
)
SHORT: dict[str, Any] = {"trainer": {"max_epochs": 2}, "every": 4, "keep": 1}


class Faults:
    """Counts the operations that write below a folder, and lets one of them fail.

    Args:
        root: The folder.
        at: Number of the operation; None counts only.
        how: ``kill``, or the name of an error number.
    """

    def __init__(self, root: Path, at: int | None = None, how: str = "kill") -> None:
        self.root, self.at, self.how = str(root), at, how
        self.names: list[str] = []
        self.open = builtins.open

    def point(self, name: str, path: Any, torn: Callable[[], Any] = lambda: None) -> None:
        """An operation is about to be done."""
        if not str(path).startswith(self.root) or Path(path).name.startswith("trace"):
            return
        self.names.append(f"{name} {PLAIN_NAME.sub('', Path(path).name)}")
        if len(self.names) - 1 == self.at:
            torn()
            if self.how == "kill":
                os.killpg(0, signal.SIGKILL)
            number = getattr(errno, self.how)
            raise OSError(number, os.strerror(number), str(path))

    def install(self) -> None:
        """Replace what Python writes files with."""

        def opened(path: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
            if isinstance(path, int) or not set(mode) & set("wax+"):
                return self.open(path, mode, *rest, **named)
            self.point("open", path)
            return Stream(self.open(path, mode, *rest, **named), path, self)

        builtins.open = io.open = opened  # type: ignore[assignment]
        replace, unlink, fsync = os.replace, os.unlink, os.fsync

        def replaced(source: Any, target: Any) -> None:
            self.point("rename to", target)
            replace(source, target)

        def unlinked(path: Any, **named: Any) -> None:
            self.point("unlink", path)
            unlink(path, **named)

        def synced(handle: int) -> None:
            self.point("fsync", os.readlink(f"/proc/self/fd/{handle}"))
            fsync(handle)

        os.replace, os.unlink, os.fsync = replaced, unlinked, synced  # type: ignore[assignment]


class Stream:
    """A stream whose writes count."""

    def __init__(self, stream: Any, path: Any, faults: Faults) -> None:
        self._stream, self._path, self._faults = stream, path, faults

    def write(self, data: Any) -> Any:
        def half() -> None:
            self._stream.write(data[: len(data) // 2])
            self._stream.flush()

        self._faults.point("write", self._path, half)
        return self._stream.write(data)

    def flush(self) -> None:
        self._faults.point("flush", self._path)
        self._stream.flush()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stream.close()
        if error[0] is None:
            self._faults.point("close", self._path)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def attempt(folder: Path, at: int, how: str, first_state: int) -> str:
    """One failing run and the one after it; returns what is wrong, or nothing."""

    def faulty() -> None:
        Faults(folder, at, how).install()
        run_case(folder, "plain", **SHORT)

    code = in_process(faulty)
    if code not in ((-signal.SIGKILL,) if how == "kill" else (2, 0)):
        return f"exit code {code}"
    if at > first_state and find_resume(folder / "checkpoints") is None:
        return "no state to resume from"
    code = in_process(lambda: run_case(folder, "plain", **SHORT))
    if code:
        return f"the same command ends with {code}"
    return ", ".join(differing(folder.with_name("whole"), folder))


def main(folder: Path, which: str) -> dict[str, Any]:
    """Try them."""
    whole, counted = folder / "whole", folder / "counted"
    assert in_process(lambda: run_case(whole, "plain", **SHORT)) == 0

    def count() -> None:
        faults = Faults(counted)
        faults.install()
        run_case(counted, "plain", **SHORT)
        with faults.open(folder / "names.json", "w") as stream:
            json.dump(faults.names, stream)

    assert in_process(count) == 0
    names = json.loads((folder / "names.json").read_text())
    first_state = names.index("rename to last.ckpt")
    tried = [(at, how) for at in range(len(names)) for how in ("kill", "ENOSPC")]
    tried += [
        (at, "EACCES") for at, name in enumerate(names) if name.startswith(("open", "rename", "unlink"))
    ]
    if which != "all":  # the last of each kind, in one way; in two for the states
        kinds = {name: place for place, name in enumerate(names) if not name.startswith("flush")}
        tried = [(at, ("kill", "ENOSPC")[number % 2]) for number, at in enumerate(kinds.values())]
        tried += [(at, "kill") for name, at in kinds.items() if "ckpt" in name and (at, "kill") not in tried]
    problems = {}
    for at, how in tried:
        shutil.rmtree(folder / "part", ignore_errors=True)
        if wrong := attempt(folder / "part", at, how, first_state):
            problems[f"{at} {names[at]} {how}"] = wrong
    return {"operations": len(names), "kinds": sorted(set(names)), "tried": len(tried), "problems": problems}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]).resolve(), sys.argv[2])))
