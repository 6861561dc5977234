"""Plugins, each broken in its own way: set aside and named, while everything else works."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest

GOOD = """
@hookimpl
def espnet3_models():
    return [ModelSpec(name="good/model", target="x:Y", summary="a model")]
"""
PARTS = {
    "bad_parts.py": "from dataclasses import dataclass\n\n\n@dataclass(kw_only=True)\nclass Config: ...\n\n\n"
    "class Model: ...\n\n\nclass Plain: ...\n"
}
"""What the records of a plugin may name."""
LOOK = """
import sys
from espnet3_core.cli.main import main
listed = main(["list", "--json"])
print("----")
print("----", file=sys.stderr)
sys.exit(listed or main(["run", sys.argv[1]]))
"""
SYSTEM = """
from espnet3_core.specs import StageSpec, SystemSpec

def train(context):
    print("trained")

SYSTEM = SystemSpec(name="own/system", stages=(StageSpec(name="train", run=train, roles=("training",)),))
"""


def models(target="bad_parts:Model", config="bad_parts:Config", name="bad/model", again=""):
    return f"@hookimpl\ndef espnet3_models():\n    return [{record(target, config, name)}]{again}\n"


def record(target="bad_parts:Model", config="bad_parts:Config", name="bad/model"):
    return f"ModelSpec(name={name!r}, target={target!r}, config={config!r})"


@dataclass(frozen=True)
class Broken:
    """A plugin and what has to be said about it.

    Attributes:
        code: Its module.
        says: The step that failed and why.
        remedy: Part of the hint.
        listed: Whether it can be listed, and fails only those who use the component.
        requires: Its range of core.
        group: Its group of entry points.
    """

    code: str
    says: str
    remedy: str
    listed: bool = False
    requires: str = "espnet3-core>=0.1"
    group: str = "espnet3.v1"


AUTHOR = "for the author of espnet3-bad"
RAISES_LATE = f"@hookimpl\ndef espnet3_models():\n    yield {record()}\n    raise ValueError('later')"
CASES = {
    "import error": Broken(
        "raise RuntimeError('boom')", "import: RuntimeError: boom", "pip install -U espnet3-bad"
    ),
    "exit at import": Broken(
        "import sys; sys.exit(3)", "import: SystemExit: 3", "ESPNET3_DISABLE_PLUGINS=bad"
    ),
    "missing dependency": Broken(
        "import not_there.part", "import: ModuleNotFoundError: No module named 'not_there'",
        "pip install not_there, which espnet3-bad needs",
    ),
    "misspelt hook": Broken(
        "@hookimpl\ndef espnet3_modles(): return []", "hooks: there is no hook 'espnet3_modles'",
        "did you mean 'espnet3_models'?",
    ),
    "misspelt hook without a mark": Broken(
        "def espnet3_modles(): return []", "hooks: there is no hook 'espnet3_modles'", AUTHOR
    ),
    "wrong argument of a hook": Broken(
        "@hookimpl\ndef espnet3_models(catalog): return []", "hooks: PluginValidationError",
        "compare its arguments with espnet3_core.hookspecs",
    ),
    "wrong record": Broken(
        "@hookimpl\ndef espnet3_models(): return ['bad/model']",
        "espnet3_models: returned 'bad/model', and ModelSpec is expected", AUTHOR,
    ),
    "record of another kind": Broken(
        "@hookimpl\ndef espnet3_models(): return [MetricSpec(name='bad/model', target='x:Y')]",
        "ModelSpec is expected", AUTHOR,
    ),
    "record in another namespace": Broken(
        models(name="good/theft"), "registers 'good/theft', but its namespace is 'bad'", AUTHOR
    ),
    "target that is no path": Broken(
        models(target="bad_parts.Model"), "'bad_parts.Model' is not of the form module:attribute", AUTHOR
    ),
    "duplicate name": Broken(
        models(again=" * 2"), "espnet3_models: registers model 'bad/model' twice", AUTHOR
    ),
    "exception in a hook": Broken(
        "@hookimpl\ndef espnet3_models(): raise ValueError('later')", "espnet3_models: ValueError: later",
        "espnet3 doctor shows the trace",
    ),
    "exception in a generator": Broken(RAISES_LATE, "espnet3_models: ValueError: later", AUTHOR),
    "v2 API": Broken(
        "raise SystemExit('imported')", "version: it is made for plugin API 2",
        "pip install -U espnet3-core", group="espnet3.v2",
    ),
    "unsatisfied core range": Broken(
        "raise SystemExit('imported')", "version: it requires espnet3-core>=99",
        "pip install -U espnet3-core", requires="espnet3-core>=99",
    ),
    "made for an older core": Broken(
        "raise SystemExit('imported')", "version: it requires espnet3-core<0.1",
        "pip install -U espnet3-bad", requires="espnet3-core<0.1",
    ),
    "torch at import": Broken(
        "import torch\n" + models(), "import: importing it imports torch", "import torch where it is used"
    ),
    "torch in a hook": Broken(
        models().replace("    return", "    import torch\n    return"),
        "records: importing it imports torch", "import torch where it is used",
    ),
    "slow import": Broken(
        "import time\nwhile time.thread_time() < 1.5: pass\n" + models(), "import: importing it takes 1.",
        "move the work into the functions that need it",
    ),
    "target that does not resolve": Broken(
        models(target="bad_parts:Modle"), "target: bad/model: bad_parts has no 'Modle'", AUTHOR, listed=True
    ),
    "target in no module": Broken(
        models(target="bad_prats:Model"), "target: bad/model: there is no module 'bad_prats'", AUTHOR,
        listed=True,
    ),
    "config that is no dataclass": Broken(
        models(config="bad_parts:Plain"), "config: bad/model: bad_parts:Plain is no dataclass", AUTHOR,
        listed=True,
    ),
    "config that does not resolve": Broken(
        models(config="bad_parts:Confg"), "config: bad/model: bad_parts:Confg", AUTHOR, listed=True
    ),
}  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    """A recipe whose model comes from the broken plugin."""
    folder = tmp_path / "recipe"
    for name, text in {
        "recipe.yaml": "system: {_target_: src.system.SYSTEM}\n",
        "src/system.py": SYSTEM,
        "conf/training.yaml": "dataset: {train: {name: core/manifest, path: x}}\nmodel: {name: bad/model}\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_broken_plugin_is_named_and_stops_only_those_who_need_it(plugins, recipe, name):
    case = CASES[name]
    plugins.add("bad", case.code, requires=case.requires, group=case.group, files=PARTS)
    plugins.add("good", GOOD)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(recipe)],
        env=plugins.environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    warned, _, refused = done.stderr.partition("----\n")
    names = [entry["name"] for entry in json.loads(done.stdout.partition("----")[0])]
    assert "good/model" in names
    assert ("bad/model" in names) == case.listed
    who = "plugin bad (espnet3-bad 1.0) is not usable: "
    lines = [line for line in warned.splitlines() if who in line]
    assert len(lines) == (0 if case.listed else 1), warned
    for text in [refused, *lines]:
        assert who in text
        assert case.says in text
        assert case.remedy in text
    assert done.returncode == 2
    assert "trained" not in done.stdout


def test_the_same_recipe_runs_once_the_plugin_is_sound(plugins, recipe):
    plugins.add("bad", models(), files=PARTS)
    done = plugins.espnet3("run", str(recipe))
    assert done.returncode == 0, done.stderr
    assert "trained" in done.stdout
