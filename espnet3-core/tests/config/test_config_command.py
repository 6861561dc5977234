from __future__ import annotations

import json

import pytest
import yaml
from espnet3_core.cli.main import main
from espnet3_core.config.diff import ABSENT, Difference, differences


def test_show_prints_the_resolved_configuration_with_defaults(toy_recipe, tmp_path, capsys):
    toy_recipe()
    assert main(["config", "show", str(tmp_path), "training", "training.seed=9"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["seed"] == 9
    assert shown["optimizer"]["lr"] == 0.001
    assert shown["model"]["encoder"] == {"name": "toy/rnn", "hidden": 12, "dropout": 0.5}
    assert shown["batch"]["shuffle"] is True


def test_show_written_leaves_defaults_out(toy_recipe, tmp_path, capsys):
    toy_recipe()
    assert main(["config", "show", str(tmp_path), "training", "--written", "--json"]) == 0
    assert "batch" not in json.loads(capsys.readouterr().out)


def test_show_origin_says_where_each_value_comes_from(toy_recipe, toy_yaml, tmp_path, capsys):
    toy_recipe({"conf/training.yaml": "defaults:\n  - base\nseed: 4\n", "conf/base.yaml": toy_yaml})
    assert main(["config", "show", str(tmp_path), "training", "--origin", "training.model.layers=6"]) == 0
    output = capsys.readouterr().out
    origins = dict(line.split("#", 1) for line in output.splitlines() if "#" in line)
    places = {key.strip(): place.strip() for key, place in origins.items()}
    assert places["seed: 4"] == "conf/training.yaml:3"
    assert places["layers: 6"] == "command line"
    assert places["hidden: 12"] == "conf/base.yaml:11"
    assert places["dropout: 0.5"] == "default"
    assert yaml.safe_load(output)["model"]["layers"] == 6


def test_show_of_a_configuration_with_mistakes_prints_what_there_is(toy_recipe, toy_yaml, tmp_path, capsys):
    toy_recipe({"conf/training.yaml": toy_yaml.replace("layers: 5", "layers: x")})
    assert main(["config", "show", str(tmp_path), "training"]) == 2
    output = capsys.readouterr()
    assert yaml.safe_load(output.out)["model"]["layers"] == "x"
    assert "conf/training.yaml:8: training.model.layers: expected int" in output.err


def test_show_of_a_misspelt_role(toy_recipe, tmp_path, capsys):
    toy_recipe()
    assert main(["config", "show", str(tmp_path), "trainin"]) == 2
    assert "did you mean 'training'?" in capsys.readouterr().err


@pytest.mark.parametrize("form", ["{0}:training_b", "{0}:training/training_b", "{0}/conf/training_b.yaml"])
def test_diff_compares_meaning_not_spelling(toy_recipe, toy_yaml, tmp_path, capsys, form):
    changed = "batch: {shuffle: true}\n" + toy_yaml.replace("1e-3", "0.001").replace("layers: 5", "layers: 6")
    toy_recipe({"conf/training_b.yaml": changed})
    assert main(["config", "diff", f"{tmp_path}:training", form.format(tmp_path)]) == 0
    assert capsys.readouterr().out == "training.model.layers: 5 -> 6\n"


def test_diff_of_a_recipe_with_itself_and_with_a_saved_file(toy_recipe, toy_yaml, tmp_path, capsys):
    toy_recipe()
    assert main(["config", "diff", str(tmp_path), str(tmp_path)]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "no difference\n")
    saved = tmp_path / "training.yaml"
    saved.write_text(toy_yaml.replace("seed: 3", "seed: 8"))
    assert main(["config", "diff", f"{tmp_path}:training", str(saved), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows == [{"key": "training.seed", "left": {"value": 3}, "right": {"value": 8}}]


def test_diff_of_stems_inside_a_recipe(toy_recipe, toy_yaml, tmp_path, capsys, monkeypatch):
    toy_recipe({"conf/training_b.yaml": toy_yaml.replace("layers: 5", "layers: 6")})
    monkeypatch.chdir(tmp_path)
    assert main(["config", "diff", "training", "training_b"]) == 0
    assert capsys.readouterr().out == "training.model.layers: 5 -> 6\n"


def test_differences_by_key():
    left = {"a": 1, "b": {"c": [1, 2], "d": 1}, "e": [{"x": 1}, {"y": 1}], "f": True, "g": 1}
    right = {"g": 1.0, "b": {"c": [1, 3], "d": 1}, "e": [{"x": 2}], "f": 1}
    assert differences(left, right) == [
        Difference("a", 1, ABSENT),
        Difference("b.c", [1, 2], [1, 3]),
        Difference("e.0.x", 1, 2),
        Difference("e.1", {"y": 1}, ABSENT),
        Difference("f", True, 1),
    ]
