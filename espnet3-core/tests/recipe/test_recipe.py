from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.recipe.recipe import Recipe, stem_of


def test_a_recipe_is_read(toy):
    (toy / "recipe.yaml").write_text(
        "name: toy\nsystem: {_target_: src.system.SYSTEM}\nrequires: [espnet3-core>=0.1]\nlicense: CC0\n"
    )
    recipe = Recipe.load(toy)
    assert recipe.directory == toy
    assert recipe.requires == ("espnet3-core>=0.1",)
    assert recipe.about == {"license": "CC0"}
    assert [stage.name for stage in recipe.system.stages][:2] == ["create_dataset", "train_tokenizer"]
    assert recipe.stems("training") == ["training"]
    recipe.check_requires()


def test_all_mistakes_of_recipe_yaml_are_told_with_their_lines(toy):
    (toy / "recipe.yaml").write_text("name: toy\nsytem: asr/recognition\nrequires: espnet3-asr\n")
    with pytest.raises(CheckFailed) as caught:
        Recipe.load(toy)
    text = str(caught.value)
    assert f"{toy}/recipe.yaml:2: sytem: unknown key" in text
    assert "did you mean 'system'?" in text
    assert f"{toy}/recipe.yaml:3: requires: 'espnet3-asr' does not fit" in text
    assert "did you mean it by 'sytem'?" in text
    assert text.endswith("3 problems found")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "recipe.yaml:2: this is not YAML"), ("- 1\n", "a mapping of keys is expected")],
)
def test_a_file_that_is_no_mapping(toy, text, message):
    (toy / "recipe.yaml").write_text(text + "\n")
    with pytest.raises(UserError, match=re.escape(message)):
        Recipe.load(toy)


def test_the_whole_machine_is_not_searched_for_recipes():
    with pytest.raises(UserError, match="there is no such folder") as caught:
        Recipe.load("/there-is-no-such-recipe")
    assert caught.value.hint == "espnet3 new recipe DIR writes one"


def test_a_wrong_folder_names_the_recipes_nearby(toy, monkeypatch):
    monkeypatch.chdir(toy.parent)
    with pytest.raises(UserError, match=r"it has no recipe.yaml") as caught:
        Recipe.load(".")
    assert caught.value.hint == "recipes nearby: toy"
    with pytest.raises(UserError, match="there is no such folder") as caught:
        Recipe.load("toi")
    assert caught.value.hint == "recipes nearby: toy"
    with pytest.raises(UserError, match="a folder inside the recipe") as caught:
        Recipe.load("toy/conf")
    assert caught.value.hint == f"use {toy}"
    with pytest.raises(UserError, match=r"nowhere is not a recipe: there is no such folder"):
        Recipe.load(toy / "nowhere")


def test_what_is_required_and_missing_is_the_pip_line(toy):
    (toy / "recipe.yaml").write_text(
        "system: {_target_: src.system.SYSTEM}\n"
        "requires: [espnet3-core>=0.1, 'espnet3-dream>=0.3', 'espnet3-core>=99']\n"
    )
    with pytest.raises(UserError, match="requires espnet3-dream>=0.3, espnet3-core>=99") as caught:
        Recipe.load(toy).check_requires()
    assert caught.value.hint == "pip install 'espnet3-dream>=0.3' 'espnet3-core>=99'"


def test_a_system_that_is_not_one(make_recipe):
    recipe = Recipe.load(make_recipe(src__system_dot_py="SYSTEM = 3\n"))
    with pytest.raises(UserError, match=r"src\.system\.SYSTEM is not a SystemSpec"):
        _ = recipe.system
    recipe = Recipe.load(make_recipe("other", recipe_dot_yaml="system: {_target_: src.sistem.SYSTEM}\n"))
    with pytest.raises(UserError, match=r"there is no src/sistem\.py in the recipe"):
        _ = recipe.system
    recipe = Recipe.load(make_recipe("third", recipe_dot_yaml="system: dream/recognition\n"))
    with pytest.raises(UserError, match="no plugin 'dream' is installed") as caught:
        _ = recipe.system
    assert caught.value.hint == "pip install espnet3-dream"


def test_a_missing_module_of_the_system_names_what_to_install(make_recipe):
    recipe = Recipe.load(make_recipe(src__system_dot_py="import not_installed_here\n"))
    with pytest.raises(UserError, match=r"src/system\.py: No module named 'not_installed_here'"):
        _ = recipe.system


def test_two_recipes_do_not_see_each_others_code(make_recipe):
    first = Recipe.load(make_recipe("first", src__model_dot_py="class Model:\n    name = 'first'\n"))
    second = Recipe.load(make_recipe("second", src__model_dot_py="class Model:\n    name = 'second'\n"))

    def model():
        from src.model import Model  # type: ignore[import-not-found]

        return Model

    with first.activate():
        mine = model()
        with second.activate():
            assert model().name == "second"
            with first.activate():
                assert model() is mine
        assert model() is mine
    with second.activate():
        assert model().name == "second"
    with first.activate():
        assert model() is mine
    assert not any(name.split(".")[0] in ("src", "dataset") for name in sys.modules)
    assert str(first.directory) not in sys.path
    with pytest.raises(ModuleNotFoundError):
        model()


def test_a_recipe_without_src_does_not_see_that_of_the_working_directory(toy, tmp_path, monkeypatch):
    import importlib

    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "recipe.yaml").write_text("system: asr/recognition\n")
    monkeypatch.syspath_prepend(str(toy))
    with Recipe.load(bare).activate(), pytest.raises(ModuleNotFoundError, match="has no folder src"):
        importlib.import_module("src.model")


def test_src_packages_with_and_without_init(toy):
    import importlib

    (toy / "dataset").mkdir()
    (toy / "dataset/builder.py").write_text("from src.model import Model\n")
    (toy / "src/parts").mkdir()
    (toy / "src/parts/__init__.py").write_text("from . import deep\n")
    (toy / "src/parts/deep.py").write_text("VALUE = 3\n")
    with Recipe.load(toy).activate():
        assert importlib.import_module("src.parts").deep.VALUE == 3
        assert importlib.import_module("dataset.builder").Model.__module__ == "src.model"


PLUGIN = """
    from espnet3_core.hookspecs import hookimpl
    from espnet3_core.specs import MetricSpec

    @hookimpl
    def espnet3_metrics():
        return [MetricSpec(name="recipe/mine", target="src.model:Model")]

    @hookimpl
    def espnet3_before_stage(context):
        (context.recipe.directory / "hook.txt").write_text(context.stage.name)
"""


def test_hooks_of_a_recipe_are_seen_in_it_alone(make_recipe):
    from espnet3_core.catalog import current_catalog
    from espnet3_core.recipe.run import run

    with_hooks = Recipe.load(make_recipe("hooked", src__plugin_dot_py=PLUGIN))
    with with_hooks.activate():
        assert current_catalog().find("metric", "recipe/mine").provider.namespace == "recipe"
    with Recipe.load(make_recipe("plain")).activate(), pytest.raises(UserError, match="recipe/mine"):
        current_catalog().find("metric", "recipe/mine")
    with with_hooks.activate(), Recipe.load(with_hooks.directory).activate():
        assert current_catalog().find("metric", "recipe/mine").name == "recipe/mine"
    run(with_hooks, stages=["create_dataset"])
    assert (with_hooks.directory / "hook.txt").read_text() == "create_dataset"


def test_objects_of_a_recipe_reach_spawned_processes(toy):
    import multiprocessing

    (toy / "src/work.py").write_text(
        "from espnet3_core.names import Ref\n"
        "class Answer:\n"
        "    def __reduce__(self):\n        return (Answer, ())\n"
        "    def value(self):\n        return 'from the recipe'\n"
        "def work(answer, queue):\n    queue.put(answer.value())\n"
    )
    with Recipe.load(toy).activate():
        from src.work import Answer, work  # type: ignore[import-not-found]

        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        process = context.Process(target=work, args=(Answer(), queue))
        process.start()
        assert queue.get(timeout=60) == "from the recipe"
        process.join()
    assert process.exitcode == 0


@pytest.mark.parametrize(
    "text",
    ["small", "small.yaml", "conf/small.yaml", "./conf/small.yaml", os.fspath(Path("/x/conf/small.yaml"))],
)
def test_stems_may_be_written_as_paths(text):
    assert stem_of(text) == "small"


def test_stems_keep_their_folders():
    assert stem_of("conf/tuning/small.yaml") == "tuning/small"


WORKER = """
import gc, sys
from espnet3_core.catalog import current_catalog
from espnet3_core.recipe.sources import activate_in_worker
activate_in_worker(sys.argv[1])
gc.collect()
import src.model
print(src.model.__file__, current_catalog().find("metric", "recipe/mine").name)
"""


def test_a_worker_keeps_the_recipe_active(make_recipe):
    recipe = make_recipe(src__plugin_dot_py=PLUGIN)
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(recipe)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == [str(recipe / "src/model.py"), "recipe/mine"], done.stderr
