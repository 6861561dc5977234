"""Stages pack_demo and upload_demo without a plugin that makes pages, and with ones that do."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from espnet3_core.bundle import demo
from espnet3_core.catalog import Catalog
from espnet3_core.config.roles import DemoConfig
from espnet3_core.errors import UserError
from espnet3_core.manager import PluginError
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.stages import PACK_DEMO


class Plugins:
    """Answers ``espnet3_write_demo`` as installed plugins would, one after the other."""

    def __init__(self, *answers: Any) -> None:
        self.answers = answers

    def call(self, hook: str, *, context: Any, directory: Path) -> Any:
        assert hook == "espnet3_write_demo"
        plugin = SimpleNamespace(entry=SimpleNamespace(namespace="acme"))
        for answer in self.answers:
            if isinstance(answer, Exception):
                yield plugin, None, answer
                continue
            if answer:
                (directory / "page.html").write_text(answer)
            yield plugin, bool(answer), None


def context_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *answers: Any) -> StageContext:
    monkeypatch.setattr(demo, "check_bundle", lambda folder: None)
    catalog: Any = SimpleNamespace(manager=Plugins(*answers))
    catalog.write_demo = lambda context, directory: Catalog.write_demo(catalog, context, directory)
    recipe: Any = SimpleNamespace(directory=folder)
    configs: Any = {"demo": SimpleNamespace(config=DemoConfig())}
    return StageContext(recipe, Experiment(folder / "exp"), PACK_DEMO, {}, catalog, configs)


def test_the_first_plugin_that_answers_makes_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tmp_path, monkeypatch, None, "first", "second")
    demo.pack_demo(context)
    assert (context.experiment.demo / "page.html").read_text() == "first"


def test_without_a_plugin_its_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(tmp_path, monkeypatch, None)
    with pytest.raises(UserError, match="no installed plugin makes demo pages") as error:
        demo.pack_demo(context)
    assert error.value.hint == "pip install espnet3-demo"


def test_a_plugin_that_fails_leaves_the_former_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demo.pack_demo(context_of(tmp_path, monkeypatch, "first"))
    context = context_of(tmp_path, monkeypatch, RuntimeError("no paper"))
    with pytest.raises(PluginError, match="plugin acme could not make the page: no paper"):
        demo.pack_demo(context)
    assert (context.experiment.demo / "page.html").read_text() == "first"


def test_what_was_not_packed_or_has_no_place_is_not_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tmp_path, monkeypatch, "first")
    with pytest.raises(UserError, match="the page has not been packed"):
        demo.upload_demo(context)
    demo.pack_demo(context)
    with pytest.raises(UserError, match=r"demo\.upload is not set"):
        demo.upload_demo(context)
