from __future__ import annotations

import functools
from collections import Counter

import pytest
from espnet3_core.build import build, locate
from espnet3_core.component import Component, Slot
from espnet3_core.errors import CheckFailed, UserError

NET = {"name": "toy/net", "encoder": {"name": "toy/rnn", "hidden": 3}}


def test_a_named_component_gets_its_config_and_the_needs_that_it_names(catalog):
    net = build(NET, {"vocab_size": 7, "sample_rate": 8000}, kind="model", path="training.model")
    assert net.vocab_size == 7
    assert net.tokenizer is None
    assert net.config.encoder.path == "training.model.encoder"
    assert net.encoder.config.hidden == 3
    assert net.encoder.input_size == 3


def test_without_a_slot_the_name_decides_the_kind(catalog):
    assert build(Component(name="toy/net"), {"vocab_size": 2}).vocab_size == 2
    with pytest.raises(UserError, match="toy/char is a search and a tokenizer; say which"):
        build({"name": "toy/char"})


def test_a_component_without_config_is_built_from_needs_alone(catalog):
    assert build({"name": "toy/head"}, {"input_size": 5, "seed": 0}, kind="module").input_size == 5


def test_a_missing_need_names_component_need_and_providers(catalog):
    with pytest.raises(UserError) as caught:
        build({"name": "toy/rnn"}, {}, kind="module", path="training.model.encoder")
    assert caught.value.message == (
        "training.model.encoder (toy/rnn): it needs `input_size`, which is not provided here"
    )
    assert caught.value.hint == "`input_size` is provided by model toy/net"


def test_wrong_keys_are_told_with_their_path(catalog):
    with pytest.raises(CheckFailed, match="training.model.layers: expected int, got 'x'"):
        build(Component("toy/net", None, {"layers": "x"}, Slot("model"), "training.model"), {"vocab_size": 1})


def test_a_target_gets_its_arguments_and_the_needs_that_it_names_and_omits(catalog):
    made = build({"_target_": "toyparts.plain.Plain", "size": 4}, {"vocab_size": 9, "other": 1})
    assert (made.size, made.vocab_size) == (4, 9)


def test_a_value_in_both_places_must_be_equal(catalog):
    node = {"_target_": "toyparts.plain.Plain", "size": 4, "vocab_size": 9}
    assert build(node, {"vocab_size": 9}).vocab_size == 9
    with pytest.raises(UserError, match="vocab_size is 9 in the configuration and 8 in this run") as caught:
        build(node, {"vocab_size": 8}, path="training.model")
    assert "leave vocab_size out" in str(caught.value.hint)


def test_nested_targets_are_built_first_and_get_needs_too(catalog):
    counter = {"_target_": "collections.Counter", "a": 2}
    child = {"_target_": "toyparts.plain.Child", "_args_": [1, counter], "k": [3]}
    made = build({"_target_": "toyparts.plain.Plain", "size": 1, "child": child}, {"vocab_size": 5})
    assert made.child.items == (1, Counter(a=2))
    assert made.child.vocab_size == 5
    assert made.child.options == {"k": [3]}


@pytest.mark.parametrize(
    "node",
    [
        {"_target_": "fractions.Fraction", "_args_": [3, 4]},
        {"_target_": "datetime.timedelta", "hours": 2, "minutes": 3},
        {"_target_": "collections.OrderedDict", "a": [1, {"b": 2}]},
        {"_target_": "builtins.dict", "x": {"_target_": "fractions.Fraction", "numerator": 2}},
        {"_target_": "fractions.Fraction.from_float", "_args_": [0.25]},
        {"_target_": "builtins.dict", "_recursive_": False, "x": {"_target_": "fractions.Fraction"}},
    ],
)
def test_targets_mean_what_they_mean_to_hydra(node):
    from hydra.utils import instantiate

    assert build(node) == instantiate(node, _convert_="all")


def test_partial_keeps_what_is_given():
    made = build({"_target_": "fractions.Fraction", "_partial_": True, "numerator": 3})
    assert isinstance(made, functools.partial)
    assert made(denominator=4) == 0.75


@pytest.mark.parametrize(
    ("node", "message", "hint"),
    [
        (
            {"_target_": "toyparts.plain.Plai"},
            "toyparts.plain has no 'Plai'",
            "did you mean 'Plain'?",
        ),
        ({"_target_": "toyparts.plan.Plain"}, "toyparts has no 'plan'", None),
        ({"_target_": "nowhere.Thing"}, "there is no module 'nowhere'", "pip install nowhere"),
        ({"_target_": "Plain"}, "'Plain' is not an import path", "write package.module.Name"),
        ({"_target_": "toyparts.plain.Plain"}, "missing a required argument: 'size'", "it takes size"),
        (
            {"_target_": "toyparts.plain.Plain", "size": 1, "scal": 2},
            "unexpected keyword argument",
            "scale",
        ),
        ({"name": "toy/net", "_target_": "a.B"}, "exactly one of `name` and `_target_`", None),
    ],
)
def test_mistakes_of_the_user_are_user_errors(catalog, node, message, hint):
    with pytest.raises(UserError) as caught:
        build(node, {"vocab_size": 1}, kind="model", path="training.model")
    assert message in caught.value.message
    assert "training.model" in caught.value.message
    assert hint is None or hint in str(caught.value.hint)


def test_errors_of_a_constructor_keep_their_type_and_say_where(catalog):
    with pytest.raises(KeyError) as caught:
        build({"_target_": "toyparts.plain.broken", "value": 3}, path="training.model")
    assert caught.value.__notes__ == ["while building training.model (toyparts.plain.broken)"]


def test_needs_reach_the_constructor_as_the_objects_they_are(catalog):
    model = object()
    assert build({"_target_": "toyparts.plain.Plain", "size": 1}, {"child": model}).child is model


def test_a_module_that_lacks_a_package_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "needy_module.py").write_text("import certainly_not_installed\nclass A: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="needy_module imports 'certainly_not_installed'") as caught:
        locate("needy_module.A")
    assert caught.value.hint == "pip install certainly_not_installed"
