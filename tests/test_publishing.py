"""From a bundle to the Hub and back: the same transcript, by the card's own snippet; the page is true."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import espnet3_core
import pytest
import yaml
from espnet3_core.bundle.card import card
from espnet3_core.bundle.manifest import read_manifest
from espnet3_core.config.roles import PublicationConfig
from espnet3_core.config.schema import problems

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/publishing.md").read_text("utf-8")
BUNDLE = ROOT / "plugins/espnet3-asr/tests/bundles/version_1"
SERVER = ROOT / "plugins/espnet3-hub/tests/hub_server.py"

pytest.importorskip("espnet3_hub", reason="espnet3-hub is not installed")


def module(path: Path) -> ModuleType:
    """A module of a package's tests."""
    spec = importlib.util.spec_from_file_location(f"espnet3_publishing_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """A Hub, for commands in processes of their own."""
    server = module(SERVER)
    with server.running() as running:
        settings = {
            "HF_ENDPOINT": running.url,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": server.WRITER,
            "ESPNET3_CACHE": str(tmp_path / "cache"),
        }
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        yield running


def python(code: str, *arguments: str, cwd: Path) -> str:
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


PUBLISH = """
import sys, pathlib
from espnet3_hub.config import HubConfig
from espnet3_hub.publish import ModelPublisher
print(ModelPublisher(HubConfig(repo="acme/digits")).publish(pathlib.Path(sys.argv[1])))
"""
MAIN = "import sys; from espnet3_core.cli.main import main; sys.exit(main())"
LOAD = "import sys, espnet3_core; print(espnet3_core.load(sys.argv[1], device='cpu')(sys.argv[2]).text)"


def test_what_was_published_gives_the_same_text_elsewhere(hub: object, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    module(BUNDLE.with_name("make_bundle.py")).make(bundle)
    address = python(PUBLISH, str(bundle), cwd=tmp_path).strip()
    audio = str(BUNDLE / "sample/speech.wav")
    expected = espnet3_core.load(bundle, device="cpu")(audio).text
    assert python(LOAD, address, audio, cwd=tmp_path).strip() == expected != ""
    folder = Path(
        python("from espnet3_core.cli.main import main; main()", "fetch", address, cwd=tmp_path).strip()
    )
    assert read_manifest(folder) == read_manifest(bundle)


def test_the_snippet_of_the_card_runs_in_the_folder() -> None:
    manifest = read_manifest(BUNDLE)
    assert manifest.sample is not None
    (snippet,) = re.findall(r"^```python\n(.*?)^```", card(manifest), re.MULTILINE | re.DOTALL)
    assert python(snippet, cwd=BUNDLE).strip() == manifest.sample["outputs"]["text"]


def test_the_configuration_of_the_page_is_one() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert problems(PublicationConfig, yaml.safe_load(text), "publication") == []


def test_the_page_names_every_option_with_its_default() -> None:
    from espnet3_hub.config import HubConfig

    rows = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE, re.MULTILINE))
    fields = {field.name: field.default for field in dataclasses.fields(HubConfig)}
    assert {name: rows[name] for name in fields} == {
        name: "" if default is dataclasses.MISSING else yaml.safe_dump(default).split("\n")[0]
        for name, default in fields.items()
    }


def test_without_the_plugin_the_address_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ESPNET3_DISABLE_PLUGINS", "hub")
    command = [sys.executable, "-c", MAIN, "fetch", "hf://acme/digits@v1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "pip install espnet3-hub" in done.stderr) == (2, True), done.stderr
