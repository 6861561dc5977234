"""``espnet3 report`` on recognition that was really trained, and what of it needs a process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html import unescape
from pathlib import Path


def test_a_trained_recogniser_on_one_page(trained_copy, tmp_path: Path) -> None:
    output = tmp_path / "page.html"
    done = trained_copy.espnet3("report", ".", "-o", str(output), "--audio", "2")
    assert (done.returncode, done.stderr) == (0, "")
    page = unescape(output.read_text("utf-8"))
    (folder,) = trained_copy.directory.glob("exp/*")
    (path,) = folder.glob("*/metrics.json")
    scores = json.loads(path.read_text("utf-8"))
    for label, tests in scores.items():
        for values in tests.values():
            assert f'data-value="{values[label]}"' in page
    (results,) = folder.glob("*/*/results.jsonl")
    for line in results.read_text("utf-8").splitlines():
        assert json.loads(line)["id"] in page
    assert page.count("<audio ") == 2 and page.count("recording: speech") == 4  # captions and labels
    assert "cannot be shown" not in page and 'class="missing"' not in page
    text = re.sub(r"<[^>]+>", "\n", page)
    for said in ("speech/log_mel", "average.safetensors", "compute-bound", "learning rate", "espnet3-asr"):
        assert said in text, said


def test_a_page_needs_no_torch(trained_copy, tmp_path: Path) -> None:
    code = (
        "import sys; from espnet3_core.cli.main import main; "
        f"assert main(['report', '.', '-o', {str(tmp_path / 'page.html')!r}]) == 0; "
        "print({'torch', 'lightning', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=trained_copy.directory, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
