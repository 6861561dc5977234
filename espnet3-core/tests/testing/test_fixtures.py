"""The pytest plugin: light, silent, and its three fixtures."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from espnet3_core.catalog import current_catalog, installed_catalog
from espnet3_core.data.audio import read_audio
from espnet3_core.hookspecs import hookimpl
from espnet3_core.manager import PluginError
from espnet3_core.specs import MetricSpec

MEAN = MetricSpec(name="acme/mean", target="acme:Mean", summary="A mean")


class Hooks:
    @hookimpl
    def espnet3_metrics(self):
        return [MEAN]


def test_records_and_plugins_are_the_current_catalog(catalog):
    assert {entry.provider.namespace for entry in current_catalog().components()} == {"core"}
    for plugin in (MEAN, Hooks()):
        catalog(plugin)
        assert current_catalog().find("metric", "acme/mean").spec == MEAN
        assert current_catalog().find("collator", "core/pad").provider.distribution == "espnet3-core"
    catalog()
    assert not current_catalog().components("metric")


def test_discovery_is_refused(catalog):
    from espnet3_core import catalog as module

    with pytest.raises(AssertionError, match="asks for the plugins that are installed"):
        module.installed_catalog()


def test_bad_plugins_raise(catalog):
    class Misspelt:
        def espnet3_metric(self):
            return []

    with pytest.raises(PluginError, match="there is no hook 'espnet3_metric'"):
        catalog(acme=Misspelt())
    with pytest.raises(PluginError, match="acme/mean' twice"):
        catalog(MEAN, MEAN)


def test_the_catalog_is_undone():
    assert current_catalog() is installed_catalog()


def test_the_command_in_this_process_sees_the_catalog(catalog, cli):
    catalog(MEAN)
    done = cli("list", "metric", "--json")
    assert (done.code, done.stderr) == (0, "")
    assert [entry["name"] for entry in json.loads(done.stdout)] == ["acme/mean"]
    wrong = cli("list", "metrik")
    assert wrong.code == 2
    assert "did you mean 'metric'" in wrong.stderr
    assert cli("list", "--help").code == 0


def test_the_command_leaves_environment_and_folder(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("ESPNET3_DISABLE_PLUGINS", raising=False)
    before = os.getcwd(), dict(os.environ)
    cli("list", "--no-plugins", cwd=tmp_path, env={"EXTRA": "1"})
    assert (os.getcwd(), dict(os.environ)) == before


def test_the_command_in_a_fresh_process(cli, tmp_path):
    done = cli("list", "collator", "--json", fresh=True, cwd=tmp_path, env={"ESPNET3_PLUGINS": ""})
    assert done.code == 0, done.stderr
    assert [entry["name"] for entry in json.loads(done.stdout)] == ["core/pad"]


def test_the_speech(speech):
    assert [item["text"] for item in speech.items] == ["8 2 7", "3 6 8", "7 0 6", "9 1 2"]
    for item in speech.items:
        path = speech.manifest.parent / f"{item['id']}.flac"
        assert (item["speech"] == read_audio(path, sample_rate=speech.sample_rate)).all()
    size = sum(path.stat().st_size for path in speech.manifest.parent.iterdir())
    assert size < 100_000


PROBE = """
import sys, pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "espnet3_core.testing.fixtures", "."])
found = sorted(name for name in sys.modules if name.startswith("espnet3_core"))
print(int(code), found, [name for name in {heavy} if name in sys.modules])
"""


def test_pytest_starts_as_light_as_before(tmp_path):
    """For those who merely have core installed: nothing is imported, and their fixtures are their own."""
    (tmp_path / "test_own.py").write_text(
        "import pytest\n@pytest.fixture\ndef catalog(): return 1\n"
        "def test_one(catalog): assert catalog == 1\n"
    )
    heavy = ["torch", "lightning", "hydra", "omegaconf", "pydantic", "numpy"]
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(heavy=heavy)],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # hydra's plugin is not as light
        capture_output=True,
        text=True,
        check=True,
    )
    ours = ["espnet3_core", "espnet3_core.testing", "espnet3_core.testing.fixtures"]
    assert done.stdout.splitlines()[-1] == f"0 {ours} []", done.stdout


def test_the_entry_point_and_the_module_are_one_plugin(tmp_path):
    """Whether core was installed with it or not, ``-p`` and ``pytest_plugins`` may name the module."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    info = tmp_path / "installed-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    points = "".join(f"{name} = {value}\n" for name, value in project["entry-points"]["pytest11"].items())
    (info / "entry_points.txt").write_text("[pytest11]\n" + points)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["espnet3_core.testing.fixtures"]')
    (tmp_path / "test_own.py").write_text("def test_one(speech): assert len(speech.items) == 4")
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    for option in ([], ["-p", "espnet3_core.testing.fixtures"]):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *option, "."],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_every_name_can_be_imported():
    import espnet3_core.testing as kit

    assert all(getattr(kit, name).__name__ == name for name in kit.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = kit.Nothing
