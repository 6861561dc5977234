"""``espnet3 plugin check``: a look at a plugin's files, then the conformance suite and its own tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from espnet3_core.authoring.layout import Layout
from espnet3_core.authoring.static import static_findings
from espnet3_core.discovery import installed_entries
from espnet3_core.errors import Finding

_SUITE = """
from espnet3_core.testing import PluginConformance


class TestPlugin(PluginConformance):
    namespace = {namespace!r}
"""
_NO_TESTS = 5
"""Exit code of pytest when there is nothing to run."""


def check_package(directory: Path, *, run: bool = True) -> list[Finding]:
    """Find what would trouble the users of a plugin.

    Args:
        directory: The plugin's folder, with its ``pyproject.toml``.
        run: Run the conformance suite on the installed plugin and then the plugin's own tests; what they
            print goes to this process's output.

    Returns:
        What to mend, each with ``file:line`` where it is in a file.

    Raises:
        UserError: The folder is no plugin.
    """
    layout = Layout.read(directory)
    findings = static_findings(layout)
    if run:
        findings += _run(layout)
    return findings


def _run(layout: Layout) -> list[Finding]:
    if find_spec("pytest") is None:
        return [_problem("pytest is not installed", "pip install 'espnet3-core[testing]'")]
    entry = next((item for item in installed_entries() if item.namespace == layout.namespace), None)
    if entry is None:
        name = layout.project.get("project", {}).get("name", layout.namespace)
        return [
            _problem(f"{name} is not installed, so nothing was run", f"pip install -e {layout.directory}")
        ]
    findings = []
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / f"test_conformance_of_{layout.namespace}.py"
        suite.write_text(_SUITE.format(namespace=layout.namespace), "utf-8")
        if _pytest([str(suite), "--rootdir", folder]):
            message = "the conformance suite of plugins fails"
            findings.append(_problem(message, "each failure above says what to change"))
    code = _pytest([str(layout.directory)])
    if code == _NO_TESTS:
        hint = "inherit the classes of espnet3_core.testing, as espnet3 plugin new does"
        findings.append(_problem(f"{layout.directory} has no tests", hint))
    elif code:
        findings.append(_problem("its tests fail", f"pytest {layout.directory}"))
    return findings


def _pytest(arguments: list[str]) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *arguments]
    environment = {
        **os.environ,
        "ESPNET3_STRICT_PLUGINS": "",
    }  # a broken neighbour is not this plugin's fault
    sys.stdout.flush()
    return subprocess.run(command, env=environment, check=False).returncode


def _problem(message: str, hint: str) -> Finding:
    return Finding(message=message, hint=hint)
