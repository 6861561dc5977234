"""Plugins as installed distributions, each broken in its own way, in processes of their own."""

import json
import subprocess
import sys
from types import SimpleNamespace

GOOD = """
@hookimpl
def espnet3_models():
    return [ModelSpec(name="good/model", target="x:Y", summary="a model")]
"""


FIRST_PARTY = ("core", "speech", "asr")
LOOK = """
import dataclasses, json
from espnet3_core.catalog import installed_catalog
catalog = installed_catalog()
print(json.dumps({
    "names": [entry.name for entry in catalog.components("model")],
    "failures": [dataclasses.asdict(failure) for failure in catalog.failures],
}))
"""


def look(plugins):
    """Names of models, failures, and what is printed, from one process without torch."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK], env=plugins.environment(), capture_output=True, text=True, check=True
    )
    return SimpleNamespace(**json.loads(done.stdout), stderr=done.stderr)


def test_strict_plugins_raise(plugins):
    plugins.add("bad", "raise RuntimeError('boom')")
    listed = plugins.espnet3("list", ESPNET3_STRICT_PLUGINS="1")
    assert listed.returncode == 2
    assert "boom" in listed.stderr


def test_a_direct_reference_to_core_fits_any_version(plugins):
    plugins.add("good", GOOD, requires="espnet3-core @ file:///where/it/is")
    assert look(plugins).names[-1] == "good/model"


def test_switches_apply_before_import(plugins):
    plugins.add("bad", "import sys; sys.stderr.write('IMPORTED')")
    plugins.add("good", GOOD)
    for switch in (
        {"ESPNET3_DISABLE_PLUGINS": "bad"},
        {"ESPNET3_DISABLE_PLUGINS": "espnet3-bad"},
        {"ESPNET3_PLUGINS": "good"},
    ):
        listed = plugins.espnet3("list", "--json", **switch)
        assert "IMPORTED" not in listed.stderr
        assert "good/model" in listed.stdout
    for listed in (
        plugins.espnet3("list", "--json", ESPNET3_DISABLE_PLUGINS="all"),
        plugins.espnet3("list", "--json", "--no-plugins"),
    ):
        assert listed.returncode == 0
        assert "IMPORTED" not in listed.stderr
        assert "good/model" not in listed.stdout
        assert "core/manifest" in listed.stdout
    assert "loaded in" in plugins.espnet3("list", ESPNET3_TRACE_PLUGINS="1").stderr


def test_two_distributions_with_one_namespace_are_both_listed_and_using_the_name_is_an_error(plugins):
    plugins.add("good", GOOD)
    plugins.add("good", GOOD, distribution="rival-good")
    assert look(plugins).names.count("good/model") == 2
    code = "from espnet3_core.catalog import current_catalog as c; c().find('model', 'good/model')"
    found = subprocess.run(
        [sys.executable, "-c", code], env=plugins.environment(), capture_output=True, text=True, check=False
    )
    assert "provided by espnet3-good 1.0 and by rival-good 1.0" in found.stderr
    assert "espnet3-good:good/model, rival-good:good/model" in found.stderr
    qualified = code.replace("'good/model'", "'rival-good:good/model'").replace("; c()", "; found = c()")
    chosen = subprocess.run(
        [sys.executable, "-c", qualified + "; print(found.provider.distribution)"],
        env=plugins.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert chosen.stdout.strip() == "rival-good"


def test_doctor_and_plugin_list_tell_every_state_and_why(plugins):
    plugins.add("good", GOOD)
    plugins.add("bad", "raise RuntimeError('boom')")
    plugins.add("off", "raise SystemExit('imported')")
    plugins.add("future", "raise SystemExit('imported')", group="espnet3.v2")
    plugins.add("young", "raise SystemExit('imported')", requires="espnet3-core>=99")
    plugins.add("old", "raise SystemExit('imported')", requires="espnet3-core<0.1")
    done = plugins.espnet3("plugin", "list", "--json", ESPNET3_DISABLE_PLUGINS="off")
    assert done.returncode == 0
    states = {state["namespace"]: state for state in json.loads(done.stdout)}
    assert {name: state["state"] for name, state in states.items() if name not in FIRST_PARTY} == {
        "good": "ok",
        "bad": "failed",
        "off": "disabled",
        "future": "needs newer core",
        "young": "needs newer core",
        "old": "failed",
    }
    good, bad = states["good"], states["bad"]
    assert (good["distribution"], good["version"], good["api"]) == ("espnet3-good", "1.0", 1)
    assert good["components"] == 1
    assert good["import_ms"] > 0
    assert states["future"]["api"] == 2
    assert states["off"]["why"] == "in ESPNET3_DISABLE_PLUGINS"
    assert bad["import_ms"] is None
    assert "boom" in bad["why"]
    assert "pip install -U espnet3-bad" in bad["hint"]
    text = plugins.espnet3("plugin", "list", ESPNET3_DISABLE_PLUGINS="off").stdout
    for words in (("good", "espnet3-good 1.0", "ok"), ("bad", "failed", "boom"), ("off", "disabled")):
        (line,) = [line for line in text.splitlines() if line.startswith(f"{words[0]} ")]
        assert all(word in line for word in words)
    done = plugins.espnet3("doctor", "--json")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert {state["namespace"] for state in report["plugins"]} == set(states)
    assert "boom" in next(item["trace"] for item in report["failures"] if item["namespace"] == "bad")
    assert any("boom" in problem for problem in report["problems"])
