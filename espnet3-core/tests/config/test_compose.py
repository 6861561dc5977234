from __future__ import annotations

import pytest
from espnet3_core.config.compose import compose
from espnet3_core.config.overrides import parse_overrides
from espnet3_core.errors import UserError

ROLES = ("training", "inference")


def overrides(*texts):
    parsed, findings = parse_overrides(texts, ROLES)
    assert findings == []
    return parsed


def test_groups_of_the_recipe_come_before_those_of_plugins(catalog, write_yaml, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    conf = write_yaml(
        training="""
            defaults:
              - base
              - model: toy/small
              - optim: fast
              - _self_
            model:
              encoder:
                hidden: 6
            """,
        base="seed: 4\nmodel: {layers: 3}\n",
        optim__fast="lr: 1e-2\n",
        model__toy__small_of_mine="name: toy/net\n",
    )
    composed = compose(conf, "training", "training")
    assert composed.node == {
        "seed": 4,
        "model": {"layers": 1, "name": "toy/net", "encoder": {"name": "toy/rnn", "hidden": 6}},
        "optim": {"lr": 0.01},
    }
    assert [file.rpartition("/conf/")[2] for file in composed.files] == [
        "base.yaml",
        "model/toy/small.yaml",
        "optim/fast.yaml",
        "training.yaml",
    ]
    assert composed.place("seed") == "conf/base.yaml:1"
    assert composed.place("model.encoder.hidden") == "conf/training.yaml:9"
    assert composed.place("model.layers").endswith("toyparts/conf/model/toy/small.yaml:2")
    assert composed.place("optim.lr.unknown.deeper") == "conf/optim/fast.yaml:1"


def test_merging_is_hydras_where_no_component_changes(catalog, write_yaml):
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    conf = write_yaml(
        main="""
            defaults:
              - group: one
              - group/deep@elsewhere.here: two
              - /globals/g
              - optional group2: missing
            x: {y: "${group.a}"}
            """,
        group__one="a: 1\nb: {c: [1, 2]}\n",
        group__deep__two="d: ${x.y}\n",
        globals__g="# @package _global_\nx: {y: 9, z: 3}\ngroup: {b: {e: 5}}\n",
    )
    with initialize_config_dir(str(conf), version_base="1.3"):
        expected = OmegaConf.to_container(hydra_compose("main"), resolve=True)
    assert compose(conf, "main", "training").node == expected


def test_composing_leaves_hydras_global_state_as_it_was(catalog, write_yaml, tmp_path):
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    conf = write_yaml(training="defaults: [base]\n", base="seed: 1\n")
    other = tmp_path / "other"
    other.mkdir()
    (other / "base.yaml").write_text("seed: 2\n")
    (other / "training.yaml").write_text("defaults: [base]\n")
    assert not GlobalHydra.instance().is_initialized()
    with initialize_config_dir(str(other), version_base="1.3"):
        assert compose(conf, "training", "training").node == {"seed": 1}
        assert hydra_compose("training") == {"seed": 2}
    assert not GlobalHydra.instance().is_initialized()
    assert compose(other, "training", "training").node == {"seed": 2}


def test_an_override_may_choose_the_file_of_a_group(catalog, write_yaml):
    conf = write_yaml(training="defaults: [{model: toy/small}]\nseed: 1\n")
    made = compose(
        conf, "training", "training", overrides("training.model=toy/large", "training.model.layers=2")
    )
    assert made.node == {"model": {"name": "toy/net", "layers": 2}, "seed": 1}


def test_overrides_add_set_replace_and_delete(write_yaml):
    conf = write_yaml(training="model: {name: a/x, size: 1, list: [1]}\nseed: 1\n")
    made = compose(
        conf,
        "training",
        "training",
        overrides(
            "training.model.depth=2",
            "training.model.name=a/y",
            "+training.new.key=[1,{a: null}]",
            "training.rate=1e-3",
            "training.text='a, b'",
            "~training.seed",
        ),
    )
    assert made.node == {
        "model": {"name": "a/y", "depth": 2},
        "new": {"key": [1, {"a": None}]},
        "rate": 0.001,
        "text": "a, b",
    }
    assert made.place("model.depth") == "command line"
    assert [str(item) for item in made.replaced] == [
        "a/x became a/y, so its keys of lower layers are dropped: size, list"
    ]


def test_list_items_are_reached_by_index(write_yaml):
    conf = write_yaml(training="many: [{a: 1}, {a: 2}]\n")
    made = compose(conf, "training", "training", overrides("training.many.0.a=5", "training.many[1].b=6"))
    assert made.node == {"many": [{"a": 5}, {"a": 2, "b": 6}]}


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("trainin.seed=1", "there is no role 'trainin'", "did you mean 'training'?"),
        ("demo.seed=1", "there is no role 'demo'", "roles are: training, inference"),
        ("training.seed", "a value is missing", None),
        ("training=1", "it names a role and no key", "ROLE.KEY=VALUE"),
        ("training.a=1,2", "several values at once", "quote a value that has commas"),
        ("training.a=b=c", "it cannot be read", "quote the value: \"training.a='b=c'\""),
        ("training.a=[1", "it cannot be read", None),
        ("training..a=1", "it cannot be read", None),
    ],
)
def test_overrides_that_cannot_be_read(text, message, hint):
    parsed, (finding,) = parse_overrides([text, "training.ok=1"], ROLES)
    assert [item.path for item in parsed] == ["training.ok"]
    assert finding.message.startswith(f"{text}: ")
    assert message in f"{finding.message} {finding.hint}"
    assert finding.place == "command line"
    assert hint is None or hint in str(finding.hint)


def test_deleting_what_is_not_there_and_setting_below_a_number(write_yaml):
    conf = write_yaml(training="seed: 1\n")
    made = compose(conf, "training", "training", overrides("~training.sed", "training.seed.x=1"))
    messages = [(finding.message, finding.hint) for finding in made.findings]
    assert messages == [
        ("~training.sed: there is no key training.sed", "did you mean 'seed'?"),
        ("training.seed.x=1: seed is 1, which has no keys", None),
    ]


def test_interpolations_see_files_overrides_defaults_and_the_environment(write_yaml, monkeypatch):
    monkeypatch.setenv("TOY_CORPUS", "/corpus")
    conf = write_yaml(
        training="""
            a: ${seed}
            b: {path: "${oc.env:TOY_CORPUS}/x", all: "${c}", back: "${oc.env:TOY_NONE,none}"}
            c: {d: "${a}"}
            """
    )
    made = compose(conf, "training", "training", overrides("training.e=${b.path}"), {"seed": 3})
    assert made.node == {
        "a": 3,
        "b": {"path": "/corpus/x", "all": {"d": 3}, "back": "none"},
        "c": {"d": 3},
        "e": "/corpus/x",
    }


def test_every_failing_interpolation_is_told(write_yaml, monkeypatch):
    monkeypatch.delenv("TOY_CORPUS", raising=False)
    conf = write_yaml(
        training="""\
            seed: 1
            a: ${sed}
            b: ${oc.env:TOY_CORPUS}
            c: ${training.seed}
            d: ${nothing:x}
            e: "${"
            f: ???
            """
    )
    found = {finding.key: finding for finding in compose(conf, "training", "training").findings}
    assert set(found) == {f"training.{key}" for key in "abcdef"}
    assert found["training.a"].hint == "did you mean 'seed'?"
    assert "export TOY_CORPUS=" in found["training.b"].hint
    assert "of its own role only (training)" in found["training.c"].hint or "seed" in found["training.c"].hint
    assert found["training.f"].hint == "in the file, or with training.f=… on the command line"


@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        (
            {"training": "seed: 1\ndefaults:\n  - model: toy/smalll\n"},
            "conf/training.yaml:3: defaults: there is no configuration file model/toy/smalll.yaml",
            "did you mean 'small'?",
        ),
        (
            {"training": "defaults:\n  - nothing\n"},
            "conf/training.yaml:2: defaults: there is no configuration file nothing.yaml",
            None,
        ),
        ({"training": "defaults: [base]\n", "base": "a: [1\n"}, "conf/base.yaml:2:1: not valid YAML", None),
        ({"training": "defaults: 3\n"}, "conf/training.yaml:1", None),
    ],
)
def test_faults_of_files_and_defaults_lists_name_file_and_line(
    catalog, write_yaml, tmp_path, monkeypatch, files, message, hint
):
    monkeypatch.chdir(tmp_path)
    conf = write_yaml(**files)
    with pytest.raises(UserError) as caught:
        compose(conf, "training", "training")
    assert message in caught.value.message
    assert hint is None or caught.value.hint == hint
