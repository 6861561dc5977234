"""The class of plugins passes a light, documented plugin, and rejects each fault with its message."""

import sys
from pathlib import Path

import pytest
from espnet3_core.catalog import Catalog, use_catalog
from espnet3_core.discovery import Entry
from espnet3_core.manager import PluginManager
from espnet3_core.testing import MetricConformance, PluginConformance

PLUGIN = """
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import MetricSpec, StageSpec, SystemSpec

RECORD = dict(name="acme/mean", target="{package}.parts:Mean", config="{package}.config:MeanConfig")
RECORD["summary"] = "A mean"

@hookimpl
def espnet3_metrics():
    return [MetricSpec(**RECORD)]
"""
CONFIG = '''
from dataclasses import dataclass, field

@dataclass(kw_only=True)
class MeanConfig:
    """Of numbers."""

    digits: int = 3
    """Digits that are kept."""
'''
PARTS = """
class Mean:
    def __init__(self, config): ...
"""
UNDOCUMENTED = CONFIG.replace('    """Digits that are kept."""\n', "")
SYSTEM = """
@hookimpl
def espnet3_systems():
    stage = StageSpec(name="work", run=lambda context: None, roles=("training",))
    return [SystemSpec(name="acme/work", stages=(stage,), summary="Works")]
"""
HEAVY_HOOK = """
@hookimpl
def espnet3_models():
    import numpy
    return []
"""
CHANGED = """
class Odd(str):
    def __eq__(self, other): return False
    __hash__ = str.__hash__

RECORD["tasks"] = (Odd("x"),)
"""


class Acme(PluginConformance):
    namespace = "acme"


@pytest.fixture
def acme(tmp_path: Path, monkeypatch, request):
    """Install a plugin and make it the current catalog: ``acme(plugin=…, config=…, parts=…)``."""
    stack = []

    def install(plugin="", config=CONFIG, parts=PARTS, before="", after=None):
        package = f"acme_{abs(hash(request.node.name)) % 10**8}"
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("")
        text = before + PLUGIN.format(package=package) + plugin
        (tmp_path / package / "_plugin.py").write_text(text)
        (tmp_path / package / "config.py").write_text(config)
        (tmp_path / package / "parts.py").write_text(parts)
        monkeypatch.syspath_prepend(str(tmp_path))
        entry = Entry(namespace="acme", module=f"{package}._plugin", distribution="espnet3-acme", version="1")
        manager = PluginManager()
        manager.load(entry)
        stack.append(use_catalog(Catalog(manager)))
        stack[-1].__enter__()

    yield install
    for block in stack:
        block.__exit__(None, None, None)


METHODS = [name for name in dir(Acme) if name.startswith("test_") and "tested" not in name]


def test_the_right_plugin_passes(acme):
    acme()
    for method in METHODS:
        getattr(Acme(), method)()


FAULTS = {
    "raises": (
        {"before": "raise ImportError('no wheel')\n"},
        "test_it_is_installed_and_loads",
        "ImportError: no wheel",
    ),
    "misspelt": (
        {"plugin": "def espnet3_metric(): ...\n"},
        "test_it_is_installed_and_loads",
        "there is no hook 'espnet3_metric'",
    ),
    "foreign name": (
        {"plugin": "RECORD['name'] = 'other/mean'\n"},
        "test_it_is_installed_and_loads",
        "its namespace is 'acme'",
    ),
    "heavy": ({"before": "import numpy\n"}, "test_its_import_is_light", "_plugin imports numpy"),
    "heavy records": (
        {"plugin": HEAVY_HOOK},
        "test_its_import_is_light",
        "collecting its records imports numpy",
    ),
    "heavy config": (
        {"config": "import numpy\n" + CONFIG},
        "test_its_import_is_light",
        "importing its configurations imports numpy",
    ),
    "slow": (
        {"before": "sum(range(40_000_000))\n"},
        "test_its_import_is_light",
        "s of CPU time, and 0.1 s is allowed",
    ),
    "no target": ({"parts": ""}, "test_targets_resolve", "has no 'Mean'"),
    "no function": ({"parts": "Mean = 3"}, "test_targets_resolve", "cannot be called"),
    "no config first": ({"parts": "def Mean(model): ..."}, "test_targets_resolve", "takes 'model' first"),
    "no dataclass": (
        {"config": "class MeanConfig: ..."},
        "test_default_options_are_valid",
        "is no dataclass",
    ),
    "bad default": (
        {"config": CONFIG.replace("= 3", "= 'three'")},
        "test_default_options_are_valid",
        "digits",
    ),
    "no summary": (
        {"plugin": "RECORD['summary'] = ''\n"},
        "test_everything_is_documented",
        "it has no summary",
    ),
    "undocumented": ({"config": UNDOCUMENTED}, "test_everything_is_documented", "says nothing about digits"),
    "unpicklable": (
        {"plugin": SYSTEM},
        "test_records_survive_spawned_processes",
        "cannot be sent to a process",
    ),
    "changed": (
        {"plugin": CHANGED},
        "test_records_survive_spawned_processes",
        "come back from a process changed",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_rejected(fault, acme):
    changes, method, message = FAULTS[fault]
    acme(**changes)
    with pytest.raises(pytest.fail.Exception) as failure:
        getattr(Acme(), method)()
    text = str(failure.value)
    assert message in text, text
    assert "acme" in text
    assert "\n  -> " in text


def test_every_check_rejects_something():
    assert {method for _, method, _ in FAULTS.values()} == set(METHODS)


def test_a_plugin_that_is_not_installed(catalog):
    catalog()
    with pytest.raises(pytest.fail.Exception, match="'acme' is installed; there are core"):
        Acme().plugin()


class Complete(Acme):
    complete = True


class Mean(MetricConformance):
    name = "acme/mean"


def test_a_component_without_a_class_is_told(acme, request, monkeypatch):
    acme()
    Complete().test_every_component_is_tested(request)
    monkeypatch.delattr(sys.modules[__name__], "Mean")
    with pytest.raises(pytest.fail.Exception, match="tests metric acme/mean"):
        Complete().test_every_component_is_tested(request)
