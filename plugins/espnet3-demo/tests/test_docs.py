"""docs/demo.md: its configuration is one, its Python is valid, the defaults are as stated."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from espnet3_core.config.roles import DemoConfig
from espnet3_core.config.schema import validate
from espnet3_core.fields import FIELD_KINDS

PAGE = (Path(__file__).parents[3] / "docs/demo.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def test_the_configuration_is_one_and_states_the_defaults() -> None:
    (text,) = blocks("yaml")
    found = validate(DemoConfig, yaml.safe_load(text), "demo")
    usual = DemoConfig()
    for name in ("max_seconds", "max_mb", "max_characters"):
        assert getattr(found, name) == getattr(usual, name)


def test_the_python_defines_a_page() -> None:
    (text,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(text, "demo.md", "exec"), names)
    assert callable(names["build"])


def test_every_kind_of_field_is_in_the_table() -> None:
    assert {kind for kind in FIELD_KINDS if f"| `{kind}`" in PAGE} == set(FIELD_KINDS)
