"""A small plugin, ``toy``, in a package of its own, and a recipe that uses it."""

from __future__ import annotations

import importlib
import sys
import textwrap
from pathlib import Path

import pytest
from espnet3_core import _plugin as core_plugin
from espnet3_core.catalog import Catalog, use_catalog
from espnet3_core.hookspecs import hookimpl
from espnet3_core.recipe.recipe import Recipe
from espnet3_core.specs import ModelSpec, ModuleSpec, SearchSpec, StageSpec, SystemSpec, TokenizerSpec

FILES = {
    "__init__.py": "",
    "config.py": '''
        from __future__ import annotations
        from dataclasses import dataclass, field
        from pathlib import Path
        from typing import Annotated, Any, Literal
        from espnet3_core.component import Component, Slot

        @dataclass(kw_only=True)
        class RnnConfig:
            """An encoder."""

            hidden: int = 8
            """Units."""
            dropout: float = 0.0
            """Rate."""

        @dataclass(kw_only=True)
        class WideConfig:
            widths: tuple[int, ...] = (1, 2)
            """Widths."""
            where: Path | None = None
            """A path."""

            def __post_init__(self) -> None:
                if not self.widths:
                    raise ValueError("widths is empty")

        @dataclass(kw_only=True)
        class NetConfig:
            encoder: Annotated[Component, Slot("module", "encoder")] = field(
                default_factory=lambda: Component(name="toy/rnn", options={"hidden": 16, "dropout": 0.5})
            )
            """The encoder."""
            heads: list[Annotated[Component, Slot("module", "head")]] = field(default_factory=list)
            """Heads."""
            extras: dict[str, Annotated[Component, Slot("module", "encoder")]] = field(default_factory=dict)
            """Further encoders."""
            mode: Literal["fast", "slow"] = "fast"
            """How."""
            layers: int = 2
            """How many,
            one by one."""

        @dataclass(kw_only=True)
        class CharConfig:
            lower: bool = False
            """Fold case."""
        ''',
    "parts.py": """
        class Rnn:
            def __init__(self, config, *, input_size):
                self.config, self.input_size = config, input_size

        class Wide(Rnn):
            pass

        class Net:
            def __init__(self, config, *, vocab_size, tokenizer=None):
                self.config, self.vocab_size, self.tokenizer = config, vocab_size, tokenizer
                self.encoder = config.encoder.build(input_size=3, unused=1)

        class Head:
            def __init__(self, *, input_size):
                self.input_size = input_size

        class Char:
            def __init__(self, config):
                self.config = config

        class Lost:
            def __init__(self, config, *, planet):
                self.planet = planet
        """,
    "plain.py": """
        class Plain:
            def __init__(self, size, *, vocab_size=0, child=None, scale=1.0):
                self.size, self.vocab_size, self.child, self.scale = size, vocab_size, child, scale

        class Child:
            def __init__(self, *items, vocab_size=None, **options):
                self.items, self.vocab_size, self.options = items, vocab_size, options

        def broken(value):
            raise KeyError(value)
        """,
    "conf/__init__.py": "",
    "conf/model/toy/small.yaml": "name: toy/net\nlayers: 1\nencoder:\n  name: toy/rnn\n  hidden: 4\n",
    "conf/model/toy/large.yaml": "name: toy/net\nlayers: 9\n",
}

TRAINING = """\
seed: 3
dataset:
  train: {name: core/manifest, path: train.tsv}
tokenizer:
  name: toy/char
model:
  name: toy/net
  layers: 5
  encoder:
    name: toy/rnn
    hidden: 12
optimizer:
  name: core/adamw
  lr: 1e-3
trainer:
  max_epochs: 2
"""


class ToyPlugin:
    @hookimpl
    def espnet3_models(self):
        return [
            ModelSpec(
                name="toy/net",
                target="toyparts.parts:Net",
                config="toyparts.config:NetConfig",
                provides=("vocab_size", "input_size"),
            )
        ]

    @hookimpl
    def espnet3_modules(self):
        def spec(name, role, target, config):
            config = f"toyparts.config:{config}" if config else None
            return ModuleSpec(name=name, role=role, target=f"toyparts.parts:{target}", config=config)

        return [
            spec("toy/rnn", "encoder", "Rnn", "RnnConfig"),
            spec("toy/wide", "encoder", "Wide", "WideConfig"),
            spec("toy/lost", "encoder", "Lost", "RnnConfig"),
            spec("toy/head", "head", "Head", None),
        ]

    @hookimpl
    def espnet3_tokenizers(self):
        return [
            TokenizerSpec(name="toy/char", target="toyparts.parts:Char", config="toyparts.config:CharConfig")
        ]

    @hookimpl
    def espnet3_searches(self):
        return [
            SearchSpec(name="toy/char", target="toyparts.parts:Char", config="toyparts.config:CharConfig")
        ]

    @hookimpl
    def espnet3_systems(self):
        stages = (
            StageSpec(name="train", run="toyparts.parts:Net", roles=("training",)),
            StageSpec(name="measure", run="toyparts.parts:Net", roles=("inference", "metrics")),
            StageSpec(name="pack_model", run="toyparts.parts:Net", roles=("publication",)),
        )
        return [SystemSpec(name="toy/task", stages=stages, provides=("vocab_size", "tokenizer"))]

    @hookimpl
    def espnet3_config_paths(self):
        return ["pkg://toyparts.conf"]


@pytest.fixture(scope="session")
def _toyparts(tmp_path_factory):
    root = tmp_path_factory.mktemp("toyparts")
    for name, text in FILES.items():
        file = root / "toyparts" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    sys.path.insert(0, str(root))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(root))


@pytest.fixture
def catalog(_toyparts):
    catalog = Catalog.from_plugins([("core", core_plugin), ("toy", ToyPlugin())])
    with use_catalog(catalog):
        yield catalog


@pytest.fixture
def toy_yaml():
    """A right ``conf/training.yaml``."""
    return TRAINING


@pytest.fixture
def toy_recipe(tmp_path, monkeypatch, catalog):
    """A function that writes a recipe of the toy system and returns it."""
    monkeypatch.chdir(tmp_path)

    def write(files: dict[str, str] | None = None) -> Recipe:
        contents = {
            "recipe.yaml": "name: toy\nsystem: toy/task\n",
            "conf/training.yaml": TRAINING,
            "conf/inference.yaml": "test_sets:\n  test: {name: core/manifest, path: test.tsv}\n",
            "conf/metrics.yaml": "metrics: {}\n",
            **(files or {}),
        }
        for name, text in contents.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return Recipe.load(tmp_path)

    return write


@pytest.fixture
def write_yaml(tmp_path):
    """A function that writes files below ``conf`` and returns that folder."""

    def write(**files: str) -> Path:
        for name, text in files.items():
            file = tmp_path / "conf" / (name.replace("__", "/") + ".yaml")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        return tmp_path / "conf"

    return write
