"""What ``espnet3 plugin check`` finds in a plugin's files, and from running it."""

import re

import pytest

PLUGIN = "src/espnet3_acme/_plugin.py"


@pytest.fixture
def package(in_folder, run_command):
    assert run_command("plugin", "new", "acme", "--kinds", "metric")[0] == 0
    return in_folder / "espnet3-acme"


def changed(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "said", "remedy"),
    [
        (PLUGIN, "from espnet3_core import specs", "import torch\nfrom espnet3_core import specs",
         f"{PLUGIN}:7: it imports torch, and every espnet3 command would wait", "import torch inside"),
        (PLUGIN, "from espnet3_core import specs",
         "from espnet3_core import specs\nfrom espnet3_acme import metric_config",
         "src/espnet3_acme/metric_config.py:3: it imports numpy", "import numpy inside"),
        (PLUGIN, "acme/exact_match", "other/exact_match",
         "the name 'other/exact_match' is outside of the namespace 'acme'", "write 'acme/exact_match'"),
        (PLUGIN, "metric:ExactMatch", "metric:ExactMatsch", "espnet3_acme.metric has no 'ExactMatsch'",
         "did you mean 'ExactMatch'?"),
        (PLUGIN, "metric_config:", "metrc_config:", "there is no module espnet3_acme.metrc_config",
         "mend the name"),
        (PLUGIN, "def espnet3_metrics", "def espnet3_metric", "there is no hook 'espnet3_metric'",
         "did you mean 'espnet3_metrics'?"),
        (PLUGIN, "@hookimpl\n", "", "espnet3_metrics is no hook without its mark",
         "write @hookimpl above it"),
        ("src/espnet3_acme/metric.py", "class ExactMatch(", "class ExactMatch((",
         "src/espnet3_acme/metric.py:13: ", "mend the syntax"),
        ("pyproject.toml", "espnet3-core>=0.1,<0.2", "espnet3-core",
         "pyproject.toml:13: it requires no range of espnet3-core", 'write "espnet3-core>=0.1.0,<0.2"'),
        ("pyproject.toml", "espnet3-core>=0.1,<0.2", "espnet3-core>=7",
         "pyproject.toml:13: it requires espnet3-core>=7, and 0.1.0 is installed", "dependencies"),
    ],
)  # fmt: skip
def test_a_flaw_is_told_with_its_line_and_what_to_change(package, run_command, file, old, new, said, remedy):
    if "metric_config" in new:
        config = package / "src/espnet3_acme/metric_config.py"
        changed(config, "from __future__ import annotations\n", "import numpy as np\n")
        assert (
            run_command("plugin", "check", str(package), "--static")[1].count("espnet3 show and check") == 1
        )
    changed(package / file, old, new)
    code, out, _ = run_command("plugin", "check", str(package), "--static")
    assert code == 2
    assert said in out
    assert remedy in out
    place = re.match(r"(.+?):(\d+): ", out)
    assert place is not None


def test_what_a_package_runs_on_import_is_a_flaw_unless_it_is_lazy(package, run_command):
    init = package / "src/espnet3_acme/__init__.py"
    init.write_text('"""Lazy."""\n\n\ndef __getattr__(name):\n    raise AttributeError(name)\n')
    assert run_command("plugin", "check", str(package), "--static")[0] == 0
    init.write_text("from espnet3_acme.metric import ExactMatch\n")
    code, out, _ = run_command("plugin", "check", str(package), "--static")
    assert code == 2
    assert "src/espnet3_acme/__init__.py:1: `from espnet3_acme.metric import ExactMatch` runs whenever" in out
    assert "leave __init__.py empty" in out


def test_torch_behind_a_type_check_is_none(package, run_command):
    changed(
        package / PLUGIN,
        "from espnet3_core import specs",
        "from typing import TYPE_CHECKING\nfrom espnet3_core import specs\n\nif TYPE_CHECKING:\n    "
        "import torch",
    )
    assert run_command("plugin", "check", str(package), "--static")[0] == 0


@pytest.mark.parametrize(
    ("project", "said"),
    [
        (None, "has no pyproject.toml, so it is no plugin"),
        ("[project\n", "pyproject.toml: this is not TOML"),
        ("[project]\nname = 'x'\n", 'one entry point in the group "espnet3.v1", and this one has none'),
        (
            "[project.entry-points.\"espnet3.v1\"]\na = 'b._plugin'\n",
            "pyproject.toml:2: there is no module b._plugin",
        ),
    ],
)
def test_a_folder_that_is_no_plugin_is_refused(in_folder, run_command, project, said):
    if project is not None:
        (in_folder / "pyproject.toml").write_text(project)
    code, _, err = run_command("plugin", "check", str(in_folder))
    assert code == 2
    assert said in err


def test_failing_tests_and_a_plugin_that_is_not_installed_are_told(package, plugins, installed):
    absent = plugins.espnet3("plugin", "check", str(package))
    assert absent.returncode == 2
    assert (
        f"espnet3-acme is not installed, so nothing was run\n  -> pip install -e {package}" in absent.stdout
    )
    changed(package / "src/espnet3_acme/metric.py", "100 * right", "99 * right")
    changed(package / PLUGIN, 'summary="Percentage of texts that are right as a whole"', 'summary=""')
    installed(package)
    done = plugins.espnet3("plugin", "check", str(package))
    assert done.returncode == 2
    assert "it has no summary" in done.stdout
    assert "the conformance suite of plugins fails" in done.stdout
    assert "its tests fail" in done.stdout
    assert done.stdout.endswith("2 to mend\n")
