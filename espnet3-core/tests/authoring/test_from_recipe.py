"""A recipe with code of its own is trained, made a package of, and trained again by names."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from espnet3_core.authoring import rewriting
from espnet3_core.authoring.adapters import Use, adapter
from espnet3_core.errors import UserError

RECIPE = {
    "recipe.yaml": "# A recipe of tones.\nname: tones\nsystem: {_target_: src.system.SYSTEM}  # its own\n",
    "conf/training.yaml": """\
# Everything is this recipe's own.
dataset:
  sample_rate: 8000
  train: {_target_: src.data.Tones, count: 8}   # few
  valid: {_target_: src.data.Tones, count: 4}
model:
  # The model of the paper.
  _target_: src.model.Regression
  hidden: 6
  rate: 0.1
  head: {_target_: "src.parts.heads.Head", bias: false}
batch: {size: 4}
trainer: {max_epochs: 1, accelerator: cpu}
callbacks:
  - _target_: src.parts.Counter
""",
    "conf/inference.yaml": "test_sets:\n  test: {_target_: src.data.Tones, count: 3}\nbatch: {size: 2}\n",
    "conf/metrics.yaml": "metrics:\n  own: {name: recipe/spread}  # from src/plugin.py\n",
    "conf/publication.yaml": "license: cc0-1.0\n",
    "src/system.py": """\
from dataclasses import replace

from espnet3_core.recipe.stages import INFER, MEASURE, PACK_MODEL, TRAIN
from espnet3_core.specs import SystemSpec

TRAINING = replace(TRAIN, after=())
SYSTEM = SystemSpec(
    name="tones/system",
    stages=(TRAINING, replace(INFER, after=("train",)), MEASURE, replace(PACK_MODEL, after=("train",))),
    provides=("sample_rate",),
)
""",
    "src/data.py": """\
import numpy as np


class Tones:
    \"\"\"Tones.\"\"\"

    def __init__(self, sample_rate, count: int = 2):
        self.sample_rate, self.count = sample_rate, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time = np.arange(40) / self.sample_rate
        return {"id": f"t{index}", "speech": np.sin(index * time).astype(np.float32), "level": float(index)}
""",
    "src/parts/__init__.py": "from lightning.pytorch import Callback\n\n\nclass Counter(Callback):\n"
    "    def on_train_end(self, trainer, pl_module):\n        print('steps counted:', trainer.global_step)\n",
    "src/parts/heads.py": "from torch import nn\n\n\nclass Head(nn.Linear):\n"
    "    def __init__(self, bias: bool = True):\n        super().__init__(6, 1, bias=bias)\n",
    "src/model.py": """\
import src.parts.heads
from src.parts import heads as all_heads
from torch import nn


class Regression(nn.Module):
    \"\"\"Guesses the level of a tone.

    Args:
        hidden: Size of the hidden layer.
        rate: Share of units that are dropped.
        scale: Factor of the output.
        sample_rate: In Hz.
    \"\"\"

    def __init__(self, hidden: int, head: nn.Module, rate: float = 0.0, scale=1.0, *, sample_rate):
        super().__init__()
        assert isinstance(head, src.parts.heads.Head) and head is not all_heads
        self.scale = scale
        self.layers = nn.Sequential(nn.Linear(1, hidden), nn.ReLU(), nn.Dropout(rate), head)

    def forward(self, speech, speech_lengths, level):
        guess = self.layers(speech.square().sum(1, keepdim=True) / speech_lengths[:, None])[:, 0] * self.scale
        return {"loss": (guess - level.float()).square().mean(), "weight": len(level)}

    def infer(self, batch):
        mean = batch["speech"].square().sum(1, keepdim=True) / batch["speech_lengths"][:, None]
        return [{"guess": value} for value in self.layers(mean)[:, 0].tolist()]
""",
    "src/metric.py": """\
from espnet3_core.measure.metric import Metric


class Spread(Metric):
    inputs = {"guess": "guess"}

    def __init__(self):
        super().__init__()
        self.seen = []

    def update(self, ids, **values):
        self.seen += values["guess"]

    def merge(self, other):
        self.seen += other.seen

    def compute(self):
        return {"spread": max(self.seen) - min(self.seen)}
""",
    "src/plugin.py": """\
from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import MetricSpec


@hookimpl
def espnet3_metrics():
    yield MetricSpec(name="recipe/spread", target="src.metric:Spread", summary="Range of the guesses")


@hookimpl
def espnet3_before_stage(context):
    print("own hook before", context.stage.name)
""",
    "dataset/notes.txt": "kept\n",
}
LOAD = """
import sys
from espnet3_core.bundle.load import load
print(type(load(sys.argv[1]).model).__module__)
"""


@pytest.fixture
def recipe(in_folder):
    folder = in_folder / "tones"
    for name, text in RECIPE.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def results(recipe, tag):
    return [
        json.loads(line)["guess"]
        for line in (recipe / f"exp/{tag}/inference/test/results.jsonl").read_text().splitlines()
    ]


def test_a_recipe_becomes_a_package_and_trains_the_same_by_names(
    recipe, plugins, installed, in_folder, tree, run_command
):
    before = plugins.espnet3("run", str(recipe), "--tag", "before", "--to", "pack_model")
    assert before.returncode == 2
    assert "model: src.model.Regression is chosen by import path" in before.stderr
    assert "espnet3 plugin from-recipe" in before.stderr
    assert "own hook before train" in before.stdout
    assert "steps counted: 2" in before.stdout
    files = tree(recipe)

    code, shown, err = run_command("plugin", "from-recipe", str(recipe), "acme", "--dry-run")
    assert code == 0, err
    assert "+  train: {name: acme/tones, count: 8}   # few" in shown
    assert tree(recipe) == files
    assert not (in_folder / "espnet3-acme").exists()

    code, moved, err = run_command("plugin", "from-recipe", str(recipe), "acme")
    assert code == 0, err
    assert "src.model.Regression -> acme/regression" in moved
    kept = tree(recipe / "before-espnet3-acme")
    assert all(kept[name] == files[name] for name in files if name.startswith(("conf/tr", "src/", "recipe")))
    now = (recipe / "conf/training.yaml").read_text()
    assert "# The model of the paper.\n  name: acme/regression\n" in now
    assert "{name: acme/head, bias: false}" in now
    assert (
        recipe / "conf/metrics.yaml"
    ).read_text() == "metrics:\n  own: {name: acme/spread}  # from src/plugin.py\n"
    about = (recipe / "recipe.yaml").read_text()
    assert about.startswith("# A recipe of tones.\nname: tones\nsystem: acme/system  # its own\n")
    assert "espnet3-acme>=0.1" in about
    assert not (recipe / "src").exists()
    assert (recipe / "dataset/notes.txt").read_text() == "kept\n"

    unusable = plugins.espnet3("run", str(recipe), "--tag", "after")
    assert unusable.returncode == 2
    assert "pip install 'espnet3-acme>=0.1'" in unusable.stderr
    installed(in_folder / "espnet3-acme")
    listed = plugins.espnet3("show", "acme/regression").stdout
    for text in ("hidden: int", "Size of the hidden layer.", "rate: float = 0.0", "scale: float = 1.0"):
        assert text in listed
    assert "sample_rate:" not in listed
    after = plugins.espnet3("run", str(recipe), "--tag", "after", "--to", "pack_model")
    assert after.returncode == 0, after.stderr
    assert "own hook before train" in after.stdout
    assert "steps counted: 2" in after.stdout
    assert results(recipe, "after") == results(recipe, "before")
    _, static, _ = run_command("plugin", "check", "espnet3-acme", "--static")
    assert "src/espnet3_acme/parts/__init__.py:1" in static
    assert static.endswith("1 to mend\n")

    # Later the component gets another name.
    plugin = plugins.directory / "espnet3_acme/_plugin.py"
    record = 'name="acme/regression"'
    assert record in plugin.read_text()
    renamed = 'name="acme/guesser", aliases=(specs.Alias("acme/regression", "0.3"),)'
    plugin.write_text(plugin.read_text().replace(record, renamed))
    said = "acme/regression is now acme/guesser; espnet3-acme 0.3 removes the old name"
    loaded = subprocess.run(
        [sys.executable, "-c", LOAD, str(recipe / "exp/after/bundle")],
        env=plugins.environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert loaded.stdout == "espnet3_acme.model\n"
    assert said in loaded.stderr
    checked = plugins.espnet3("check", str(recipe))
    assert checked.returncode == 0
    assert said in checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"src/data.py": "import dataset.builder\n" + RECIPE["src/data.py"]},
            "src/data.py:1: this imports `dataset`",
        ),
        ({"src/components.py": "x = 1\n"}, "a file of this name is written into the package"),
        ({"conf/training.yaml": RECIPE["conf/training.yaml"] + "moddel: 1\n"}, "training.moddel"),
        ({"src/other.py": "x = (\n"}, "src/other.py:1: '(' was never closed"),
        ({"before-espnet3-acme/recipe.yaml": "x: 1\n"}, "before-espnet3-acme exists already"),
        ({"../espnet3-acme/x": "1"}, "espnet3-acme exists already"),
    ],
)
def test_what_cannot_be_moved_is_refused_before_anything_is_written(recipe, run_command, tree, change, said):
    for name, text in change.items():
        (recipe / name).parent.mkdir(exist_ok=True)
        (recipe / name).write_text(text)
    if "src/data.py" in change:
        (recipe / "dataset/builder.py").write_text("x = 1\n")
    before = tree(recipe.parent)
    code, _, err = run_command("plugin", "from-recipe", str(recipe), "acme")
    assert code == 2
    assert said in err
    assert tree(recipe.parent) == before


def test_a_recipe_without_code_has_nothing_to_move(recipe, run_command):
    shutil.rmtree(recipe / "src")
    (recipe / "recipe.yaml").write_text("system: tones/system\n")
    code, _, err = run_command("plugin", "from-recipe", str(recipe), "acme")
    assert code == 2
    assert "there is no code to move" in err


class Plain:
    """Takes what it is given.

    Args:
        rate: In Hz.
    """

    def __init__(self, sizes: list[int], rate, tokenizer, mode=None, *, parts=(), probe=object(), **more): ...


def test_what_the_yaml_sets_is_an_option_and_what_the_run_gives_is_a_need():
    nodes = [
        {
            "_target_": "src.x.Plain",
            "sizes": [1],
            "rate": 2,
            "extra": "a",
            "parts": [{"_target_": "torch.nn.ReLU"}],
        },
        {"_target_": "src.x.Plain", "sizes": [2], "rate": 0.5, "extra": "b"},
    ]
    made = adapter(Use("src.x.Plain", "model", None, nodes), Plain, {"tokenizer", "stats"}, set())
    assert made.needs == {"tokenizer": ""}
    options = {option.name: (option.type, option.default, option.doc) for option in made.options}
    assert options == {
        "sizes": ("list[int]", None, "As Plain takes it."),
        "rate": ("float", None, "In Hz."),
        "mode": ("Any", "None", "As Plain takes it."),
        "parts": ("list[Component]", "field(default_factory=list)", "As Plain takes it."),
        "extra": ("str", None, "As Plain takes it."),
    }
    assert "parts=[part.build(tokenizer=tokenizer) for part in config.parts]" in made.function_source()
    nodes[0]["tokenizer"] = "x"
    with pytest.raises(
        UserError, match="tokenizer is set in one configuration and left to the run in another"
    ):
        adapter(Use("src.x.Plain", "model", None, nodes), Plain, {"tokenizer"}, set())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            "from src.a import b  # src.a stays in comments\n",
            "from espnet3_acme.a import b  # src.a stays in comments\n",
        ),
        ("import src.a as a\nsrc = a\nsrc.x\n", "import espnet3_acme.a as a\nsrc = a\nsrc.x\n"),
        (
            "import os, src.a\nsrc.a.f('ü', src)\n",
            "import os, espnet3_acme.a\nespnet3_acme.a.f('ü', espnet3_acme)\n",
        ),
        ("from .a import b\nx = 'src.a:B'\n", 'from .a import b\nx = "espnet3_acme.a:B"\n'),
        ("x = f'{y}src.a'\nz = 'recipe/own'\n", "x = f'{y}src.a'\nz = \"acme/own\"\n"),
        ("def f(src): return src.shape\n", "def f(src): return src.shape\n"),
    ],
)
def test_imports_of_src_become_imports_of_the_package(old, new):
    names = rewriting.Names("espnet3_acme", "acme", {}, {})
    assert rewriting.python(old, names, Path("x.py")) == new


def test_yaml_keeps_its_comments_and_layout():
    names = rewriting.Names("espnet3_acme", "acme", {"src.m.A": "acme/a"}, {})
    old = (
        "# first\nmodel:  # ü\n  _target_: 'src.m.A' # here\n  other: {x: 1,   _target_: src.m.B}\n"
        "list:\n- &a\n  _target_: src.m.A\n  k: recipe/left\n- *a\n- {name: recipe/own}\n"
        "trainer_class: src.t.T\n"
    )
    assert rewriting.yaml_text(old, names) == (
        "# first\nmodel:  # ü\n  name: acme/a # here\n  other: {x: 1,   _target_: espnet3_acme.m.B}\n"
        "list:\n- &a\n  name: acme/a\n  k: recipe/left\n- *a\n- {name: acme/own}\n"
        "trainer_class: espnet3_acme.t.T\n"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("system: asr/x\nrequires: [a>=1]\n", "system: asr/x\nrequires: [a>=1, espnet3-acme>=0.1]\n"),
        (
            "requires:\n  - a  # c\nsystem: x/y\n",
            "requires:\n  - a  # c\n  - espnet3-acme>=0.1\nsystem: x/y\n",
        ),
        ("requires: []\nsystem: x/y\n", "requires: [espnet3-acme>=0.1]\nsystem: x/y\n"),
        ("system: x/y\n", "system: x/y\nrequires: [espnet3-acme>=0.1]\n"),
    ],
)
def test_the_recipe_requires_the_package(old, new):
    names = rewriting.Names("espnet3_acme", "acme", {}, {})
    assert rewriting.recipe_yaml(old, names, "espnet3-acme>=0.1") == new
