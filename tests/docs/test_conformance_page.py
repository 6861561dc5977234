"""The snippets of docs/conformance.md run as tests; its table has every class."""

import os
import re
import subprocess
import sys
from pathlib import Path

import espnet3_core.testing as kit

PAGE = Path(__file__).resolve().parents[2] / "docs" / "conformance.md"


def test_the_snippets_run(tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(snippets) == 5
    for number, snippet in enumerate(snippets):
        (tmp_path / f"test_snippet_{number}.py").write_text(snippet)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "espnet3_core.testing.fixtures", "."]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout  # completeness, which the page's plugin does not claim
    assert "failed" not in done.stdout


def test_the_table_has_every_class():
    rows = "\n".join(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `"))
    assert [name for name in kit.__all__ if name != "Conformance" and f"`{name}`" not in rows] == []
