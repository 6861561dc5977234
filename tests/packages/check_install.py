"""Installs the wheels into a clean environment, one layer at a time, and checks what arrives and what leaves.

Usage: ``python check_install.py PYTHON DIST CONSTRAINTS``
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FORBIDDEN = {"torchaudio", "librosa", "dask", "pandas", "espnet", "tensorboard"}
MOST_PACKAGES = 45


def main(python: str, dist: str, constraints: str) -> None:
    """Run the checks; raises on the first that fails."""
    command = str(Path(python).parent / "espnet3")
    install = [python, "-m", "pip", "install", "--quiet", "-c", constraints, "--find-links", dist]
    own = [python, "-m", "pip", "list", "--format=json"]

    def packages() -> set[str]:
        return {entry["name"].lower() for entry in json.loads(output(own))}

    subprocess.run([*install, "torch"], check=True)
    torch_alone = packages()
    subprocess.run([*install, "espnet3-core"], check=True)
    kinds = {entry["distribution"] for entry in json.loads(output([command, "list", "--json"]))}
    assert kinds == {"espnet3-core"}, kinds
    assert "asr" not in output([command, "--help"]).split()
    subprocess.run([*install, "espnet3-asr"], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    kinds = {entry["distribution"] for entry in json.loads(output([command, "list", "--json"]))}
    assert kinds == {"espnet3-core", "espnet3-speech", "espnet3-asr"}, kinds
    assert "asr/ctc" in output([command, "list", "model"])
    added = packages() - torch_alone
    assert not added & FORBIDDEN, added & FORBIDDEN
    assert len(added) <= MOST_PACKAGES, f"{len(added)} packages: {sorted(added)}"
    print(f"core, speech and asr bring {len(added)} packages beyond torch's own: {', '.join(sorted(added))}")
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "-y", "espnet3-asr"], check=True)
    assert "asr/ctc" not in output([command, "list"])
    print("uninstalling espnet3-asr removed the task")


def output(command: list[str]) -> str:
    """Standard output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main(*sys.argv[1:])
