"""Packages that ``espnet3 plugin new`` writes, and what it refuses."""

import ast
import json
import os
import subprocess
import sys
import tomllib

import pytest
from espnet3_core.authoring.kinds import PARTS
from espnet3_core.specs import KINDS

QUICK = ("metric", "tokenizer")
"""Kinds whose tests cost little."""


def test_a_new_package_is_listed_at_once_and_passes_its_own_tests(plugins, installed, in_folder):
    made = plugins.espnet3(
        "plugin", "new", "acme", "--kinds", ",".join(QUICK), "--license", "mit", "--author", "A"
    )
    assert made.returncode == 0, made.stderr
    commands = [line.strip() for line in made.stdout.splitlines() if line.startswith("  ")]
    assert commands == ["pip install -e 'espnet3-acme[test]'", "pytest espnet3-acme"]
    package = in_folder / "espnet3-acme"
    assert "Copyright (c) 20" in (package / "LICENSE").read_text()
    assert "${{ matrix.python }}" in (package / ".github/workflows/tests.yml").read_text()
    installed(package)
    listed = json.loads(plugins.espnet3("list", "--json").stdout)
    ours = {(entry["kind"], entry["name"]) for entry in listed if entry["distribution"] == "espnet3-acme"}
    assert ours == {(kind, f"acme/{PARTS[kind].ident}") for kind in QUICK}
    checked = plugins.espnet3("plugin", "check", str(package), PYTHONDONTWRITEBYTECODE="1")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.count(" passed") == 2
    assert checked.stdout.endswith("nothing to mend\n")


def test_every_kind_has_a_template_and_each_file_of_it_is_python(in_folder, run_command):
    assert set(PARTS) == set(KINDS) - {"field", "page"}
    code, _, err = run_command("plugin", "new", "all_kinds", "--kinds", ",".join(PARTS), "--license", "none")
    assert code == 0, err
    package = in_folder / "espnet3-all-kinds"
    assert not (package / "LICENSE").exists()
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["espnet3.v1"] == {"all_kinds": "espnet3_all_kinds._plugin"}
    assert project["dependencies"][0].startswith("espnet3-core>=")
    assert "license" not in project
    for file in package.rglob("*.py"):
        text = file.read_text()
        ast.parse(text)
        assert "{{" not in text
    code, out, _ = run_command("plugin", "check", str(package), "--static")
    assert (code, out) == (0, "nothing to mend\n")
    for kind in PARTS:
        assert (package / f"tests/test_{kind}.py").is_file()


def test_a_search_brings_the_model_that_it_is_tested_with(in_folder, run_command):
    assert run_command("plugin", "new", "acme", "--kinds", "search")[0] == 0
    assert (in_folder / "espnet3-acme/src/espnet3_acme/model.py").is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Acme"], "'Acme' cannot be the name of a plugin\n  -> lower-case letters, digits"),
        (["espnet3-my-lab"], "for example my_lab"),
        (["1st"], "cannot be the name"),
        (["../up"], "for example up"),
        (["core"], "'core' is the name of a package of espnet3 itself"),
        (["tts"], "'tts' is the name of a package of espnet3 itself"),
        (["espnet"], "'espnet' is the name of a package"),
        (["recipe"], "'recipe' has another meaning in recipes"),
        (["class"], "'class' has another meaning"),
        (["taken"], "'taken' is taken by espnet3-taken 1.0\n  -> choose another, or pip uninstall"),
        (["broken"], "the namespace 'broken' is taken by rival-broken 1.0"),
        (["acme", "--kinds", "modle"], "for the kind 'modle'\n  -> did you mean 'model'? kinds are: dataset"),
        (["acme", "--kinds", "field"], "kinds are: dataset, model"),
        (["acme", "--kinds", ","], "--kinds is empty"),
        (["acme", "--license", "mti"], "there is no licence text for 'mti'\n  -> did you mean 'mit'?"),
        (["acme", "--directory", "full"], "full exists already; nothing is overwritten"),
        (["acme", "--directory", "file"], "file exists already; nothing is overwritten"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_before_anything_is_written(plugins, in_folder, tree, words, said):
    plugins.add("taken")
    plugins.add("broken", "raise RuntimeError('boom')", distribution="rival-broken")
    (in_folder / "full").mkdir()
    (in_folder / "full/mine.txt").write_text("mine")
    (in_folder / "file").write_text("mine")
    before = tree(in_folder)
    code = "import sys; from espnet3_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "plugin", "new", *words],
        env=plugins.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(in_folder) == before
    assert sorted(os.listdir(in_folder)) == ["file", "full"]


def test_an_empty_folder_may_be_filled(in_folder, run_command):
    (in_folder / "here").mkdir()
    assert run_command("plugin", "new", "acme", "--kinds", "metric", "--directory", "here")[0] == 0
    assert (in_folder / "here/pyproject.toml").is_file()
