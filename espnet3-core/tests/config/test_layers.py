from __future__ import annotations

import copy

import pytest
from espnet3_core.config.layers import Layers, merged
from espnet3_core.config.places import Place, read_document
from espnet3_core.errors import UserError
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

BASE, TOP = Place("base.yaml", 1), Place("top.yaml", 1)

_keys = st.sampled_from(["a", "b", "c"])
_leaves = st.one_of(st.integers(), st.lists(st.integers(), max_size=3), st.text("xyz", max_size=2))
_tree = st.recursive(_leaves, lambda inner: st.dictionaries(_keys, inner), max_leaves=6)
_nodes = st.dictionaries(_keys, _tree)


def _clash(low, high):
    """OmegaConf refuses to lay a mapping over a list, and the reverse."""
    kinds = {dict, list}
    return any(
        {type(low[key]), type(high[key])} == kinds
        or (isinstance(low[key], dict) and isinstance(high[key], dict) and _clash(low[key], high[key]))
        for key in low.keys() & high.keys()
    )


@settings(max_examples=80, deadline=None)
@given(_nodes, _nodes)
def test_without_names_layers_merge_as_omegaconf_merges(low, high):
    assume(not _clash(low, high))
    before = copy.deepcopy((low, high))
    assert merged(low, high) == OmegaConf.to_container(OmegaConf.merge(low, high))
    assert (low, high) == before


def test_a_changed_name_replaces_the_node_and_reports_what_is_dropped():
    layers = Layers()
    layers.add({"encoder": {"name": "a/x", "size": 1, "depth": {"of": 2}}, "other": 1}, {}, BASE)
    layers.add({"encoder": {"name": "a/y", "size": 3}}, {}, TOP)
    assert layers.data == {"encoder": {"name": "a/y", "size": 3}, "other": 1}
    (report,) = layers.replaced
    assert (report.key, report.old, report.new, report.dropped, report.place) == (
        "encoder",
        "a/x",
        "a/y",
        ("depth",),
        TOP,
    )
    assert ("encoder", "depth", "of") not in layers.origins


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        ({"name": "a", "x": 1}, {"name": "a", "y": 2}, {"name": "a", "x": 1, "y": 2}),
        ({"name": "a", "x": 1}, {"y": 2}, {"name": "a", "x": 1, "y": 2}),
        ({"name": "a", "x": 1}, {"_target_": "b.C"}, {"_target_": "b.C"}),
        ({"_target_": "b.C", "x": 1}, {"_target_": "b.D"}, {"_target_": "b.D"}),
        ({"x": 1}, {"name": "a"}, {"x": 1, "name": "a"}),
    ],
)
def test_only_another_component_replaces(low, high, expected):
    assert merged({"node": low}, {"node": high}) == {"node": expected}


def test_origins_are_of_the_layer_that_set_the_key_last():
    layers = Layers()
    layers.add({"a": {"x": 1, "y": 1}}, {("a", "x"): Place("base.yaml", 5)}, BASE)
    layers.add({"a": {"y": 2}}, {("a", "y"): Place("top.yaml", 9)}, TOP)
    assert str(layers.origins["a", "x"]) == "base.yaml:5"
    assert str(layers.origins["a", "y"]) == "top.yaml:9"


def test_set_adds_replaces_and_reaches_into_lists():
    layers = Layers()
    layers.add({"many": [{"name": "a/x", "p": 1}, {"name": "a/y"}], "free": None}, {}, BASE)
    layers.set(("many", 0, "name"), "a/z", TOP)
    layers.set(("many", 1, "q"), 2, TOP)
    layers.set(("many", 2), {"name": "a/w"}, TOP)
    layers.set(("free", "deep", "key"), 3, TOP)
    assert layers.data == {
        "many": [{"name": "a/z"}, {"name": "a/y", "q": 2}, {"name": "a/w"}],
        "free": {"deep": {"key": 3}},
    }
    with pytest.raises(KeyError, match="many is a list of 3 items, without item 7"):
        layers.set(("many", 7, "q"), 2, TOP)
    with pytest.raises(KeyError, match="free.deep.key is 3, which has no keys"):
        layers.set(("free", "deep", "key", "more"), 2, TOP)


def test_delete_takes_a_key_and_its_origins_out():
    layers = Layers()
    layers.add({"a": {"x": {"y": 1}}}, {}, BASE)
    layers.delete(("a", "x"))
    assert layers.data == {"a": {}}
    assert ("a", "x", "y") not in layers.origins
    with pytest.raises(KeyError):
        layers.delete(("a", "x"))


def test_places_are_those_of_the_keys(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("# comment\na:\n  b: 1e-3\n  c:\n    - d: 2\n    - {e: 3, f: 4}\n")
    document = read_document(file)
    assert document.data == {"a": {"b": 0.001, "c": [{"d": 2}, {"e": 3, "f": 4}]}}
    lines = {key: (place.line, place.column) for key, place in document.places.items()}
    assert lines == {
        ("a",): (2, 1),
        ("a", "b"): (3, 3),
        ("a", "c"): (4, 3),
        ("a", "c", 0): (5, 7),
        ("a", "c", 0, "d"): (5, 7),
        ("a", "c", 1): (6, 7),
        ("a", "c", 1, "e"): (6, 8),
        ("a", "c", 1, "f"): (6, 14),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1, 2\nb: 3\n", r"bad.yaml:2:2: not valid YAML"),
        ("a: 1\na: 2\n", r"bad.yaml:2:1: not valid YAML: found duplicate key a"),
        ("a:\n\tb: 1\n", r"bad.yaml:2:1: not valid YAML"),
        ("a: b: c\n", r"bad.yaml:1:5: not valid YAML: mapping values"),
        ("- 1\n", r"bad.yaml:1: a mapping is expected, not a list"),
    ],
)
def test_a_file_that_is_not_yaml_is_told_with_its_line(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_document(tmp_path / "bad.yaml")


def test_a_file_in_another_encoding_is_told(tmp_path):
    (tmp_path / "latin.yaml").write_bytes("a: café".encode("latin-1"))
    with pytest.raises(UserError, match="latin.yaml: it is not UTF-8 text"):
        read_document(tmp_path / "latin.yaml")


def test_a_name_with_its_distribution_is_the_same_component():
    low = {"model": {"name": "acme/rnn", "layers": 3}}
    high = {"model": {"name": "espnet3-acme:acme/rnn"}}
    assert merged(low, high) == {"model": {"name": "espnet3-acme:acme/rnn", "layers": 3}}
