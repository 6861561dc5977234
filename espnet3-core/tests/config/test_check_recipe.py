from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import yaml
from espnet3_core.catalog import use_catalog
from espnet3_core.cli.main import main
from espnet3_core.config.check import check_folder, check_recipe
from espnet3_core.config.load import load_configs
from espnet3_core.config.roles import TrainingConfig
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import Alias, TokenizerSpec


def found(recipe, stems=None, overrides=()):
    return {(item.key, item.place): item for item in check_recipe(recipe, stems, overrides)}


def test_a_right_recipe_has_no_findings(toy_recipe):
    assert check_recipe(toy_recipe()) == []


PLANTED = {
    "conf/training.yaml": """\
seed: 3
dataset:
  train: {name: core/manifest, path: train.tsv}
  sample_rat: 16000
tokenizer:
  name: toy/char
model:
  name: toy/net
  layers: many
  encoder:
    name: toy/rnm
optimizer:
  name: acme/lion
trainer:
  max_epoch: 2
""",
    "conf/inference.yaml": """\
test_sets:
  test: {name: core/manifest, path: test.tsv}
search:
  _target_: src.search.Serch
""",
    "src/search.py": "class Search:\n    def __init__(self, *, model):\n        self.model = model\n",
}


def test_every_planted_mistake_is_found_with_line_expectation_and_suggestion(toy_recipe):
    findings = found(toy_recipe(PLANTED))
    assert {key: (item.message, item.hint) for key, item in findings.items()} == {
        ("training.dataset.sample_rat", "conf/training.yaml:4"): (
            "unknown key 'sample_rat'",
            "did you mean 'sample_rate'?",
        ),
        ("training.model.layers", "conf/training.yaml:9"): ("expected int, got 'many' (str)", None),
        ("training.model.encoder.name", "conf/training.yaml:11"): (
            "there is no module 'toy/rnm'",
            "did you mean toy/rnn?",
        ),
        ("training.optimizer.name", "conf/training.yaml:13"): (
            "no plugin 'acme' is installed, so there is no optimizer 'acme/lion'",
            "pip install espnet3-acme",
        ),
        ("training.trainer.max_epoch", "conf/training.yaml:15"): (
            "lightning's Trainer has no argument 'max_epoch'",
            "did you mean 'max_epochs'?",
        ),
        ("inference.search._target_", "conf/inference.yaml:4"): (
            "src.search has no 'Serch'",
            "did you mean 'Search'?",
        ),
    }


def test_mistakes_of_recipe_yaml_do_not_hide_the_others(toy_recipe, tmp_path):
    with pytest.raises(CheckFailed):
        toy_recipe({**PLANTED, "recipe.yaml": "system: toy/tsk\nrequries: []\nrequires: [espnet3-none>=1]\n"})
    checked = check_folder(tmp_path)
    messages = [(item.place, item.message, item.hint) for item in checked.findings]
    assert len(messages) == 9
    assert messages[0][1:] == ("unknown key", "did you mean 'requires'?")
    assert messages[1] == (
        "recipe.yaml:3",
        "this recipe requires espnet3-none>=1",
        "pip install 'espnet3-none>=1'",
    )
    assert messages[2] == ("recipe.yaml:1", "there is no system 'toy/tsk'", "did you mean toy/task?")


def test_a_need_that_nobody_provides_is_reported(toy_recipe, toy_yaml):
    files = {"conf/training.yaml": toy_yaml.replace("toy/rnn", "toy/lost")}
    findings = found(toy_recipe(files))
    (item,) = findings.values()
    assert item.key == "training.model.encoder"
    assert item.message == "toy/lost needs `planet`, which nothing provides here"
    assert item.hint == "no installed component or system provides `planet`"


def test_targets_of_torch_are_checked_against_their_signatures_without_importing_it(toy_recipe, toy_yaml):
    text = toy_yaml.replace("name: core/adamw", "_target_: torch.optim.AdamW")
    assert check_recipe(toy_recipe({"conf/training.yaml": text})) == []
    (item,) = check_recipe(toy_recipe({"conf/training.yaml": text.replace("lr:", "lrr:")}))
    assert (item.key, item.place) == ("training.optimizer.lrr", "conf/training.yaml:14")
    assert item.message == "torch.optim.AdamW takes no argument 'lrr'"
    assert item.hint == "did you mean 'lr'?"


def test_schedulers_of_torch_may_say_when_they_step(toy_recipe, toy_yaml):
    text = (
        toy_yaml + "scheduler: {_target_: torch.optim.lr_scheduler.StepLR, step_size: 3, interval: epoch}\n"
    )
    assert check_recipe(toy_recipe({"conf/training.yaml": text})) == []
    without = text.replace("step_size: 3, ", "")
    (item,) = check_recipe(toy_recipe({"conf/training.yaml": without}))
    assert item.message == "torch.optim.lr_scheduler.StepLR needs an argument `step_size`"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import missing_package_x\n", "src/model.py:1: src.model cannot be imported: ModuleNotFoundError"),
        (
            "x = 1\nraise RuntimeError('no')\n",
            "src/model.py:2: src.model cannot be imported: RuntimeError: no",
        ),
        ("class Model(:\n", "src/model.py:1: "),
        ("", "src.model has no 'Model'"),
        ("Model = 3\n", "src.model.Model is a int and cannot be called"),
    ],
)
def test_what_is_wrong_in_the_recipes_own_modules_is_found(toy_recipe, toy_yaml, source, message):
    text = toy_yaml.replace("name: toy/net\n  layers: 5", "_target_: src.model.Model").replace(
        "  encoder:\n    name: toy/rnn\n    hidden: 12\n", ""
    )
    (item,) = check_recipe(toy_recipe({"conf/training.yaml": text, "src/model.py": source}))
    assert item.key == "training.model._target_"
    assert item.message.startswith(message)


def test_missing_files_of_stages_that_run_are_reported_with_those_there_are(toy_recipe, tmp_path):
    recipe = toy_recipe()
    (tmp_path / "conf/inference.yaml").rename(tmp_path / "conf/inferenc.yaml")
    (item,) = check_recipe(recipe)
    assert "the configuration of role 'inference' is missing" in item.message
    assert item.hint == "did you mean 'inferenc'?"


def test_test_sets_that_metrics_name_exist(toy_recipe):
    files = {"conf/metrics.yaml": "metrics: {}\ntest_sets: [test, tets]\n"}
    (item,) = check_recipe(toy_recipe(files))
    assert (item.place, item.key) == ("conf/metrics.yaml:2", "metrics.test_sets.1")
    assert item.hint == "did you mean 'test'?"


def test_variants_and_overrides_are_checked(toy_recipe, toy_yaml):
    recipe = toy_recipe({"conf/training_b.yaml": toy_yaml.replace("seed: 3", "seed: three")})
    assert check_recipe(recipe) == []
    (item,) = check_recipe(recipe, {"training": ["training", "training_b"]})
    assert item.place == "conf/training_b.yaml:1"
    findings = check_recipe(recipe, None, ["training.seed=x", "trainin.seed=1", "training.model.depth=1"])
    assert [(item.place, item.key) for item in findings] == [
        ("command line", None),
        ("command line", "training.seed"),
        ("command line", "training.model.depth"),
    ]


def test_checks_of_plugins_see_the_configuration_and_fail_closed(toy_recipe, catalog):
    class Strict:
        @hookimpl
        def espnet3_check_config(self, config):
            if config["training"]["seed"] == 3:
                yield Finding(message="3 is not random", key="training.seed")

    class Broken:
        @hookimpl
        def espnet3_check_config(self, config):
            raise ValueError("oops")

    with use_catalog(catalog.with_plugin("strict", Strict()).with_plugin("broken", Broken())):
        findings = check_recipe(toy_recipe())
    places = {item.message: item.place for item in findings}
    assert places["3 is not random"] == "conf/training.yaml:1"
    assert any("oops" in message for message in places)


def test_load_configs_gives_nodes_instances_and_places(toy_recipe):
    recipe = toy_recipe()
    configs = load_configs(recipe, {}, ["training.seed=7"], ["training", "metrics"])
    training = configs["training"]
    assert isinstance(training.config, TrainingConfig)
    assert training.config.seed == training.node["seed"] == 7
    assert "batch" not in training.node
    assert training.effective["batch"]["scope"] == "per_device"
    assert training.effective["model"]["encoder"] == {"name": "toy/rnn", "hidden": 12, "dropout": 0.5}
    assert training.place("training.model.encoder.hidden") == "conf/training.yaml:11"
    assert training.place("seed") == "command line"
    assert configs["metrics"].config.metrics == {}


def test_load_configs_raises_the_mistakes_of_all_roles(toy_recipe):
    recipe = toy_recipe(PLANTED)
    with pytest.raises(CheckFailed) as caught:
        load_configs(recipe, {}, ["inference.checkpoint=3"])
    keys = {finding.key for finding in caught.value.findings}
    assert {"training.model.layers", "inference.checkpoint", "training.optimizer.name"} <= keys


def test_a_replaced_node_is_a_warning_that_does_not_stop(toy_recipe):
    recipe = toy_recipe()
    configs = load_configs(recipe, {}, ["training.model.encoder.name=toy/wide"], ["training"])
    assert configs["training"].config.model.options["encoder"] == {"name": "toy/wide"}
    (warning,) = configs["training"].warnings
    assert str(warning) == (
        "command line: training.model.encoder: toy/rnn became toy/wide, so its keys of lower layers are "
        "dropped: hidden"
    )


def test_check_prints_findings_and_exits_with_2(toy_recipe, tmp_path, capsys):
    toy_recipe(PLANTED)
    assert main(["check", str(tmp_path)]) == 2
    output = capsys.readouterr()
    assert "conf/training.yaml:9: training.model.layers: expected int, got 'many' (str)\n" in output.out
    assert output.err.endswith("6 mistakes\n")
    assert main(["check", str(tmp_path), "--json"]) == 2
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is False
    assert len(body["findings"]) == 6
    assert body["findings"][0]["place"] == "conf/training.yaml:4"


def test_check_says_ok(toy_recipe, toy_yaml, tmp_path, capsys):
    toy_recipe({"conf/training_b.yaml": toy_yaml})
    assert main(["check", str(tmp_path), "--training", "training_b", "training", "training.seed=2"]) == 0
    assert "ok; training (training_b), inference (inference), metrics (metrics)" in capsys.readouterr().out
    assert main(["check", str(tmp_path), "--all"]) == 0
    assert "training (training_b)" in capsys.readouterr().out


def test_check_of_a_folder_that_is_no_recipe(tmp_path, capsys):
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert "is not a recipe" in capsys.readouterr().err
    with pytest.raises(UserError):
        check_folder(tmp_path)


def test_check_is_quick_and_imports_neither_torch_nor_lightning(toy_recipe, tmp_path):
    """In a process of its own, with core's plugin alone: names of toy are then mistakes, too."""
    toy_recipe(PLANTED)
    code = (
        "import sys, time\n"
        "from espnet3_core.cli.main import main\n"
        f"code = main(['check', {str(tmp_path)!r}])\n"
        "print(code, time.process_time(), sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))\n"
    )
    environment = {**os.environ, "ESPNET3_PLUGINS": "core"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    status, seconds, heavy = done.stdout.splitlines()[-1].split(" ", 2)
    assert status == "2"
    assert heavy == "[]"
    assert float(seconds) < 3.0


def test_a_former_name_works_with_a_warning(toy_recipe, toy_yaml, catalog):
    class Renamed:
        @hookimpl
        def espnet3_tokenizers(self):
            alias = Alias("renamed/old", "2.0")
            target, config = "toyparts.parts:Char", "toyparts.config:CharConfig"
            return [TokenizerSpec(name="renamed/new", target=target, config=config, aliases=(alias,))]

    with use_catalog(catalog.with_plugin("renamed", Renamed())):
        recipe = toy_recipe({"conf/training.yaml": toy_yaml.replace("toy/char", "renamed/old")})
        (item,) = check_recipe(recipe)
        assert load_configs(recipe, {}, (), ["training"])["training"].warnings == (item,)
    assert (item.level, item.place) == ("warning", "conf/training.yaml:5")
    assert item.message == "renamed/old is now renamed/new; renamed-in-memory 2.0 removes the old name"


@pytest.mark.parametrize("spelt", ["init_from: {0}", "init_from: {{source: {0}, vocabulary: replace}}"])
def test_a_model_to_begin_from_has_to_be_there(toy_recipe, spelt):
    recipe = toy_recipe()
    path = recipe.directory / "conf/training.yaml"
    whole = path.read_text()
    assert "model:" in whole

    def findings(source):
        node = yaml.safe_load(whole)
        node["model"] |= yaml.safe_load(spelt.format(source))
        path.write_text(yaml.safe_dump(node))
        return [(item.message, item.key, item.place) for item in check_recipe(recipe)]

    ((message, key, place),) = findings("../digits.zip")
    assert message == "there is no file or folder ../digits.zip"
    assert key.startswith("training.model.init_from")
    assert place.startswith("conf/training.yaml:")
    (recipe.directory / "digits").mkdir()
    assert findings("digits") == []
    assert findings("hf://org/digits@v1") == []
