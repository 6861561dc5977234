from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import SCHEMAS, TrainingConfig
from espnet3_core.config.schema import examine, fields_of, import_target, problems, validate
from espnet3_core.errors import CheckFailed


@dataclass(kw_only=True)
class Inner:
    size: int = 1
    """Size."""


@dataclass(kw_only=True)
class Outer:
    rate: float
    """Rate in Hz."""
    steps: tuple[int, ...] = (1,)
    """Steps."""
    pair: tuple[int, str] | None = None
    """Two."""
    inner: Inner = field(default_factory=lambda: Inner(size=7))
    """Nested."""
    many: list[Inner] = field(default_factory=list)
    """Several."""
    kind: Literal["a", "bee"] = "a"
    """Kind."""
    folder: Path | None = None
    """Folder."""
    free: dict[str, Any] = field(default_factory=dict)
    """Anything."""
    flag: bool = False
    """Switch."""


def test_a_valid_node_becomes_the_dataclass_with_values_converted():
    made = validate(
        Outer,
        {"rate": 16000, "steps": [1, 2], "pair": [3, "x"], "many": [{"size": 2}, {}], "folder": "a/b"},
    )
    assert made == Outer(
        rate=16000.0, steps=(1, 2), pair=(3, "x"), many=[Inner(size=2), Inner()], folder=Path("a/b")
    )
    assert isinstance(made.rate, float)
    assert isinstance(made.steps, tuple)


def test_keys_that_a_nested_node_omits_keep_the_defaults_of_the_field():
    assert validate(Outer, {"rate": 1.0}).inner == Inner(size=7)
    assert validate(Outer, {"rate": 1.0, "inner": {}}).inner == Inner(size=7)


@pytest.mark.parametrize(
    ("node", "key", "message", "hint"),
    [
        ({}, "rate", "required key 'rate' is missing (float)", "Rate in Hz."),
        ({"rate": "8k"}, "rate", "expected float, got '8k' (str)", None),
        ({"rate": "8"}, "rate", "expected float, got '8' (str)", "write it without quotes"),
        ({"rate": True}, "rate", "expected float, got True (bool)", None),
        ({"rate": 1, "stepz": 1}, "stepz", "unknown key 'stepz'", "did you mean 'steps'?"),
        ({"rate": 1, "steps": [1, 2.5]}, "steps.1", "expected int, got 2.5 (float)", None),
        ({"rate": 1, "steps": 3}, "steps", "expected tuple[int, ...], got 3 (int)", "write a list: [ … ]"),
        ({"rate": 1, "pair": [1]}, "pair", "expected tuple[int, str] or null, got [1] (list)", None),
        ({"rate": 1, "inner": {"size": "x"}}, "inner.size", "expected int, got 'x' (str)", None),
        ({"rate": 1, "inner": 4}, "inner", "expected a mapping, got 4 (int)", "its keys are: size"),
        ({"rate": 1, "many": [{}, {"sise": 1}]}, "many.1.sise", "unknown key 'sise'", "did you mean 'size'?"),
        ({"rate": 1, "kind": "be"}, "kind", "expected one of a, bee, got 'be' (str)", "did you mean 'bee'?"),
        ({"rate": 1, "flag": "yes"}, "flag", "expected bool, got 'yes' (str)", None),
        ({"rate": 1, "flag": 1}, "flag", "expected bool, got 1 (int)", None),
        ({"rate": None}, "rate", "expected float, got null", None),
        ({"rate": 1, "free": {1: 2}}, "free.1", "the key 1 is not text", "write it in quotes"),
    ],
)
def test_each_mistake_has_key_expectation_and_hint(node, key, message, hint):
    (found,) = problems(Outer, node, "role")
    assert (found.key, found.message, found.hint) == (f"role.{key}", message, hint)


def test_all_mistakes_are_told_at_once():
    with pytest.raises(CheckFailed) as caught:
        validate(Outer, {"rat": 1, "flag": 3, "inner": {"size": "a", "b": 1}}, "x")
    keys = [finding.key for finding in caught.value.findings]
    assert sorted(keys) == ["x.flag", "x.inner.b", "x.inner.size", "x.rat", "x.rate"]
    assert "5 problems found" in str(caught.value)


def test_components_get_slot_and_path_and_build_on_their_default(catalog):
    schema = import_target("toyparts.config:NetConfig")
    made = validate(schema, {"encoder": {"hidden": 3}, "heads": [{"name": "toy/head"}]}, "training.model")
    assert made.encoder == Component(
        name="toy/rnn",
        options={"hidden": 3, "dropout": 0.5},
        slot=Slot("module", "encoder"),
        path="training.model.encoder",
    )
    assert made.heads[0].path == "training.model.heads.0"
    assert made.heads[0].slot == Slot("module", "head")
    untouched = validate(schema, {}, "m").encoder
    assert (untouched.options, untouched.path) == ({"hidden": 16, "dropout": 0.5}, "m.encoder")


def test_another_component_does_not_inherit_the_options_of_the_default(catalog):
    schema = import_target("toyparts.config:NetConfig")
    assert validate(schema, {"encoder": {"name": "toy/wide"}}).encoder.options == {}
    assert validate(schema, {"encoder": {"_target_": "a.B"}}).encoder == Component(
        target="a.B", slot=Slot("module", "encoder"), path="encoder"
    )


@pytest.mark.parametrize(
    ("node", "key", "message", "hint"),
    [
        ({"name": "toy/rnn", "_target_": "a.B"}, "", "`name` and `_target_` are both set", "keep the one"),
        ("toy/rnn", "", "expected a mapping that chooses a component", "write {name: toy/rnn}"),
        ({"name": "toy/rnm"}, ".name", "there is no module 'toy/rnm'", "toy/rnn"),
        (
            {"name": "toy/head"},
            ".name",
            "toy/head is a head module",
            "toy/wide",
        ),
        ({"name": "acme/rnn"}, ".name", "no plugin 'acme' is installed", "pip install espnet3-acme"),
        ({"name": 3}, ".name", "expected a name, got 3 (int)", None),
        ({"name": "toy/wide", "widths": []}, "", "widths is empty", None),
        ({"name": "toy/wide", "width": 1}, ".width", "unknown key 'width'", "did you mean 'widths'?"),
    ],
)
def test_mistakes_in_nested_components_carry_the_whole_path(catalog, node, key, message, hint):
    schema = import_target("toyparts.config:NetConfig")
    for where, wrapped in (("encoder", node), ("extras.b", {"b": node})):
        (found,) = problems(schema, {where.partition(".")[0]: wrapped}, "training.model")
        assert found.key == f"training.model.{where}{key}"
        assert message in found.message
        assert hint is None or hint in str(found.hint)


def test_a_slot_without_default_lists_what_there_is(catalog):
    schema = import_target("toyparts.config:NetConfig")
    (found,) = problems(schema, {"extras": {"x": {"hidden": 1}}})
    assert found.message == "no component is chosen: expected `name` or `_target_` (encoder module)"
    assert found.hint == "installed: toy/lost, toy/rnn, toy/wide"


def test_a_component_without_schema_takes_no_options(catalog):
    schema = import_target("toyparts.config:NetConfig")
    (found,) = problems(schema, {"heads": [{"name": "toy/head", "size": 1}]})
    assert (found.key, found.hint) == ("heads.0.size", "toy/head takes no options")


def test_parts_are_listed_with_what_they_are_nested_in(catalog):
    node = {
        "dataset": {"train": {"name": "core/manifest", "path": "x"}},
        "model": {"name": "toy/net", "heads": [{"name": "toy/head"}]},
    }
    report = examine(TrainingConfig, node, "training")
    assert report.findings == []
    above = {part.component.path: [p.component.name for p in part.above] for part in report.parts}
    assert above["training.model.encoder"] == ["toy/net"]
    assert above["training.model.heads.0"] == ["toy/net"]
    assert above["training.optimizer"] == []


def test_fields_have_types_defaults_and_the_docstrings_under_them(catalog):
    rows = {row.name: row for row in fields_of(import_target("toyparts.config:NetConfig"))}
    assert rows["encoder"].type == "encoder module"
    assert rows["encoder"].default == "{name: toy/rnn, hidden: 16, dropout: 0.5}"
    assert rows["heads"].type == "list[head module]"
    assert rows["mode"].type == "'fast' or 'slow'"
    assert (rows["layers"].default, rows["layers"].doc) == ("2", "How many,\none by one.")


def test_every_key_of_every_role_is_documented():
    for target in SCHEMAS.values():
        for row in fields_of(import_target(target)):
            assert row.doc, f"{target}.{row.name}"


def test_inherited_fields_keep_their_docs():
    @dataclass(kw_only=True)
    class Derived(Inner):
        more: int = 0
        """More."""

    assert [(row.name, row.doc) for row in fields_of(Derived)] == [("size", "Size."), ("more", "More.")]


def test_the_validated_instance_is_the_plain_dataclass():
    made = validate(Inner, {"size": 4})
    assert type(made) is Inner
    assert dataclasses.asdict(made) == {"size": 4}
