"""Folders for a Space: the same bytes twice, exact versions, a card that the Hub reads."""

from __future__ import annotations

import importlib.util
import re
import shutil
import sys
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.component import Component
from espnet3_core.config.roles import DemoConfig
from espnet3_demo.space import card, requirements, write_space
from huggingface_hub import SpaceCard
from signals_tools import Signals, experiment

MANIFEST = Manifest(system="asr/recognition", title="Digits", license="CC0-1.0")


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_a_folder_is_whole_repeatable_and_published_as_it_is(signals: Signals) -> None:
    demo = experiment(signals.speaking) / "demo"
    first = contents(demo)
    beside = {name for name in first if not name.startswith("bundle/")}
    assert beside == {"README.md", "app.py", "demo.json", "requirements.txt", "src/page.py"}
    bundle = contents(experiment(signals.speaking) / "bundle")
    assert {f"bundle/{name}": data for name, data in bundle.items()}.items() <= first.items()
    printed = signals.run("pack_demo,upload_demo", signals.speaking)
    assert contents(demo) == first
    published = signals.speaking / "published"
    assert printed.strip() == str(published)
    assert contents(published) == first


def test_an_address_takes_the_place_of_the_bundle(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text('{"schema": 1, "system": "asr/recognition"}')
    target = tmp_path / "demo"
    target.mkdir()
    write_space(DemoConfig(bundle="hf://org/digits@v1"), bundle, target, recipe=tmp_path)
    assert contents(target).keys() == {"README.md", "app.py", "demo.json", "requirements.txt"}
    assert SpaceCard.load(target / "README.md").data.models == ["org/digits"]


def test_the_card_is_one_for_spaces() -> None:
    data = SpaceCard(card(MANIFEST, DemoConfig(description="Say some."))).data
    assert (data.title, data.sdk, data.app_file, data.license) == ("Digits", "gradio", "app.py", "cc0-1.0")
    assert data.sdk_version == version("gradio")


def test_requirements_are_the_exact_versions_here() -> None:
    own = Component(target="src.page.build")
    lines = [line for line in requirements(MANIFEST, DemoConfig(page=own)) if not line.startswith("--")]
    pins = dict(re.fullmatch(r"([a-z0-9-]+)==(\S+)", line).groups() for line in lines)  # type: ignore[union-attr]
    assert {"espnet3-core", "espnet3-demo", "gradio", "torch", "numpy", "pluggy"} <= pins.keys()
    assert pins == {name: version(name) for name in pins}
    assert lines == sorted(lines)


def test_the_stage_makes_a_space_of_it(
    signals: Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """upload_demo, over HTTP, to a Hub that is there: one commit that is the packed folder."""
    pytest.importorskip("espnet3_hub", reason="espnet3-hub is not installed")
    server = hub_server()
    with server.running() as hub:
        monkeypatch.setitem(signals.environment, "HF_ENDPOINT", hub.url)
        monkeypatch.setitem(signals.environment, "HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setitem(signals.environment, "HF_TOKEN", server.WRITER)
        monkeypatch.setitem(signals.environment, "HF_HUB_DISABLE_XET", "1")
        recipe = Path(shutil.copytree(signals.listening, tmp_path / "recipe"))
        (recipe / "conf/demo.yaml").write_text(
            "title: Hear letters\nupload: {name: hub/space, repo: acme/letters, private: false}\n"
        )
        printed = signals.run("pack_demo,upload_demo", recipe)
    assert printed.strip() == f"{hub.url}/spaces/acme/letters"
    repo = hub.repos["space", "acme/letters"]
    assert not repo.private
    files = {name: content for name, content in repo.files().items() if name != ".gitattributes"}
    assert files == contents(experiment(recipe) / "demo")
    assert SpaceCard(files["README.md"].decode()).data.sdk == "gradio"


def hub_server() -> ModuleType:
    """The Hub of espnet3-hub's tests."""
    path = Path(__file__).parents[2] / "espnet3-hub/tests/hub_server.py"
    spec = importlib.util.spec_from_file_location("hub_server", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
