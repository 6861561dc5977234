"""Folders for a Space: the same bytes twice, exact versions, a card that the Hub reads."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

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
