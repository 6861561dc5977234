"""``espnet3 verify BUNDLE``: its hashes, then its sample in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from espnet3_core.errors import EXIT_BUG, UserError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.description = (
        "Compare a bundle's files with its manifest, and replay its sample in a fresh process."
    )
    parser.epilog = "example: espnet3 verify recipes/fsdd/asr/exp/training/bundle"
    parser.add_argument("source", metavar="BUNDLE", help="a folder, a zip or tar, or an address")
    parser.add_argument("--device", default="cpu", help="where to replay: cpu, cuda, cuda:1")


def run(args: argparse.Namespace) -> int:
    """Verify; 2 when something is otherwise than when it was packed."""
    from espnet3_core.bundle.check import check_bundle
    from espnet3_core.bundle.source import local_bundle

    folder = local_bundle(args.source)
    manifest = check_bundle(folder)
    print(f"{len(manifest.files)} files are as the manifest says")
    if manifest.sample is None:
        print("it has no sample, so nothing was replayed")
        return 0
    if problems := _replay(folder, args.device):
        raise UserError(
            f"{folder}: the sample gives other results than when it was packed:\n  " + "\n  ".join(problems),
            hint="compare the versions that `espnet3 inspect` shows with those installed (espnet3 doctor)",
        )
    print("the sample gives what it gave when the bundle was packed")
    return 0


def _replay(folder: Path, device: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", "espnet3_core.bundle.replay", str(folder), device],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == EXIT_BUG or done.returncode < 0:
        raise RuntimeError(f"replaying the sample ended with {done.returncode}:\n{done.stderr}")
    if done.returncode:
        raise UserError(done.stderr.strip())
    problems: list[str] = json.loads(done.stdout.splitlines()[-1])
    return problems
