"""Writes plugins, installs them beside core's wheel, and runs what an author would: tests, types, check.

Usage: ``python check_plugin.py PYTHON DIST CONSTRAINTS``, where PYTHON has espnet3-core from its wheel.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
KINDS = (
    "dataset,model,module,tokenizer,transform,collator,search,metric,publisher,optimizer,scheduler,callback,"
    "executor,system"
)


def commands(page: str, heading: str) -> list[str]:
    """The commands of the first block below a heading."""
    block = re.search(rf"^## {re.escape(heading)}\n.*?```sh\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    assert block is not None, f"{PAGE} has no commands under {heading!r}"
    lines = [line.partition(" #")[0].strip() for line in block[1].splitlines()]
    return [line for line in lines if line]


def main(python: str, dist: str, constraints: str) -> None:
    """Run the checks; raises on the first that fails."""
    found = Path(python).parent.resolve()
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("ESPNET3_", "PYTHON"))},
        "PATH": f"{found}{os.pathsep}{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(Path(dist).resolve()),
        "PIP_CONSTRAINT": str(Path(constraints).resolve()),
    }

    with tempfile.TemporaryDirectory() as folder:

        def run(command: str, inside: str = ".") -> str:
            done = subprocess.run(
                shlex.split(command), cwd=Path(folder) / inside, env=environment,
                check=False, capture_output=True, text=True,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            return done.stdout

        where = run("python -c 'import espnet3_core; print(espnet3_core.__file__)'").strip()
        assert "site-packages" in where, f"core is not installed from its wheel: {where}"
        typed = commands(PAGE.read_text("utf-8"), "Three commands")
        assert len(typed) == 3, typed
        for command in typed:
            print(f"$ {command}\n{run(command).splitlines()[-1:]}")
        name = typed[0].split()[3]
        assert f"{name}/small_ctc" in run("espnet3 list model")
        for command in commands(PAGE.read_text("utf-8"), "What users would stumble over"):
            run(command)
        run(f"espnet3 plugin new every --kinds {KINDS}")
        run("pip install --quiet -e espnet3-every[test]")
        listed = json.loads(run("espnet3 list --json"))
        kinds = {entry["kind"] for entry in listed if entry["distribution"] == "espnet3-every"}
        assert kinds == set(KINDS.split(",")), kinds
        print(run("mypy", "espnet3-every").strip())
        print(run("espnet3 plugin check espnet3-every").strip())
        for package in (f"espnet3-{name}", "espnet3-every"):
            run(f"pip uninstall --quiet -y {package}")
        assert f"{name}/" not in run("espnet3 list")


if __name__ == "__main__":
    main(*sys.argv[1:])
