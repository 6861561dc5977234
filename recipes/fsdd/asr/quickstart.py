"""From nothing to recognised speech: prepares, trains, decodes, scores, packs, and transcribes one file.

Prints every command before it runs; each can be typed by hand.
"""

from __future__ import annotations

import argparse
import csv
import shlex
import subprocess
import sys
import time
from pathlib import Path

from espnet3_core.errors import EXIT_RESUMABLE, EXIT_USER

RECIPE = Path(__file__).parent
SAMPLE = ["--training", "training_sample", "--inference", "inference_sample"]


def espnet3(*arguments: str) -> int:
    """Run the command in a process of its own; returns its exit code."""
    print(f"\n$ espnet3 {shlex.join(arguments)}", flush=True)
    try:
        return subprocess.run([sys.executable, "-m", "espnet3_core", *arguments], check=False).returncode
    except KeyboardInterrupt:
        return EXIT_RESUMABLE


def main() -> int:
    """Run the quickstart; returns the exit code of the first command that fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", action="store_true", help="use the sample that comes with the recipe")
    use_sample = parser.parse_args().sample
    start = time.monotonic()
    recipe = _relative(RECIPE)
    if not use_sample:
        code = espnet3("run", recipe, "--stages", "create_dataset")
        if code not in (0, EXIT_USER):
            return code
        if code:
            print("\nFSDD cannot be had here: going on with the sample of synthetic voices.", flush=True)
        use_sample = code == EXIT_USER
    variant = SAMPLE if use_sample else []
    for step in (["run", recipe, *variant], ["run", recipe, "--stages", "pack_model", *variant]):
        if code := espnet3(*step):
            return code
    manifest = RECIPE / ("sample/manifest.tsv" if use_sample else "data/official/test.tsv")
    utterance = _one_test_utterance(manifest)
    bundle = RECIPE / "exp" / ("training_sample" if use_sample else "training") / "bundle"
    audio = manifest.parent / utterance["path"]
    code = espnet3("asr", _relative(audio), "--model", _relative(bundle))
    print(f"spoken: {utterance['text']}\n\nfinished after {time.monotonic() - start:.0f} s")
    return code


def _one_test_utterance(manifest: Path) -> dict[str, str]:
    with manifest.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row.get("split", "test") == "test"]
    return rows[len(rows) // 2]


def _relative(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    sys.exit(main())
