"""Plugins as installed distributions, each broken in its own way, in processes of their own."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

GOOD = """
@hookimpl
def espnet3_models():
    return [ModelSpec(name="good/model", target="x:Y", summary="a model")]
"""


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


BROKEN = {
    "import": ("raise RuntimeError('boom')", "import", "RuntimeError: boom"),
    "exit": ("import sys; sys.exit(3)", "import", "SystemExit: 3"),
    "missing": ("import not_there", "import", "No module named 'not_there'"),
    "misspelt hook": ("@hookimpl\ndef espnet3_modles(): return []", "hooks", "no hook 'espnet3_modles'"),
    "unmarked misspelt hook": ("def espnet3_modles(): return []", "hooks", "no hook 'espnet3_modles'"),
    "wrong argument": ("@hookimpl\ndef espnet3_models(catalog): return []", "hooks", "catalog"),
    "raising hook": ("@hookimpl\ndef espnet3_models(): raise ValueError('later')", "espnet3_models", "later"),
    "raising generator": (
        "@hookimpl\ndef espnet3_models():\n"
        "    yield ModelSpec(name='bad/a', target='x:Y')\n    raise ValueError('later')",
        "espnet3_models",
        "later",
    ),
    "not a record": (
        "@hookimpl\ndef espnet3_models(): return ['bad/model']",
        "espnet3_models",
        "ModelSpec is expected",
    ),
    "another kind": (
        "@hookimpl\ndef espnet3_models(): return [MetricSpec(name='bad/wer', target='x:Y')]",
        "espnet3_models",
        "ModelSpec is expected",
    ),
    "other namespace": (
        "@hookimpl\ndef espnet3_models(): return [ModelSpec(name='good/theft', target='x:Y')]",
        "espnet3_models",
        "its namespace is 'bad'",
    ),
    "bad target": (
        "@hookimpl\ndef espnet3_models(): return [ModelSpec(name='bad/m', target='x.Y')]",
        "espnet3_models",
        "module:attribute",
    ),
    "twice": (
        "@hookimpl\ndef espnet3_models(): return [ModelSpec(name='bad/m', target='x:Y')] * 2",
        "espnet3_models",
        "twice",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_set_aside_and_the_others_work(plugins, case):
    code, step, error = BROKEN[case]
    plugins.add("bad", code)
    plugins.add("good", GOOD)
    seen = look(plugins)
    assert "good/model" in seen.names
    said = "plugin bad (espnet3-bad 1.0) is not usable"
    assert len([line for line in seen.stderr.splitlines() if said in line]) == 1
    (failure,) = seen.failures
    assert failure["step"] == step
    assert error in failure["error"]
    if "raise" in code or "import" in code:
        assert "Traceback" in failure["trace"]


def test_a_failed_plugin_is_the_message_when_it_is_needed(plugins):
    plugins.add("bad", "raise RuntimeError('boom')")
    shown = plugins.espnet3("show", "bad/model")
    assert shown.returncode == 2
    assert "boom" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_strict_plugins_raise(plugins):
    plugins.add("bad", "raise RuntimeError('boom')")
    listed = plugins.espnet3("list", ESPNET3_STRICT_PLUGINS="1")
    assert listed.returncode == 2
    assert "boom" in listed.stderr


def test_versions_are_checked_before_anything_is_imported(plugins):
    plugins.add("old", "raise SystemExit('imported')", requires="espnet3-core>=99")
    plugins.add("future", "raise SystemExit('imported')", group="espnet3.v2")
    plugins.add("good", GOOD, requires="espnet3-core @ file:///where/it/is")
    failures = {failure["entry"]["namespace"]: failure for failure in look(plugins).failures}
    assert set(failures) == {"old", "future"}
    assert failures["old"]["step"] == failures["future"]["step"] == "version"
    assert "requires espnet3-core>=99" in failures["old"]["error"]
    assert "needs a newer espnet3-core" in failures["future"]["error"]


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


def test_doctor_shows_heavy_modules_and_traces_and_asks_for_a_mend(plugins):
    plugins.add("heavy", "import numpy")
    plugins.add("bad", "raise RuntimeError('boom')")
    done = plugins.espnet3("doctor", "--json")
    assert done.returncode == 2
    report = json.loads(done.stdout)
    assert "boom" in report["failures"][0]["trace"]
    assert any("boom" in problem for problem in report["problems"])
    heavy = next(plugin for plugin in report["plugins"] if plugin["namespace"] == "heavy")
    assert heavy["heavy_modules"] == ["numpy"]
    assert heavy["import_ms"] > 1
