"""The README's first command in a fresh clone, installation included."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(("corpus", "most_minutes"), [("sample", 6), ("fsdd", 8)])
def test_quickstart_in_a_fresh_clone(tmp_path, corpus, most_minutes):
    corpora = os.environ.get("ESPNET3_CORPORA", "")
    if corpus == "fsdd" and not Path(corpora or "nowhere", "fsdd").is_dir():
        pytest.skip("FSDD is not at $ESPNET3_CORPORA/fsdd")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    fresh = tmp_path / "fresh"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "venv", str(fresh)], check=True)
    python = str(fresh / "bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "nox"], check=True)
    wanted = ["--", "--sample"] if corpus == "sample" else []
    done = subprocess.run(
        [python, "-m", "nox", "-s", "quickstart", *wanted],
        cwd=clone,
        capture_output=True,
        text=True,
        check=False,
    )
    minutes = (time.perf_counter() - start) / 60
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert re.search(r"wer\s+test\s+\d", done.stdout)
    assert "spoken: " in done.stdout
    print(f"\nquickstart on {corpus}: {minutes:.1f} minutes\n{done.stdout[-600:]}")
    assert minutes <= most_minutes
