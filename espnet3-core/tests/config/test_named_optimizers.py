"""``espnet3 check`` on ``training.optimizers``."""

from __future__ import annotations

from typing import Any

import pytest
from espnet3_core.config.check import check_recipe
from espnet3_core.config.load import load_configs
from espnet3_core.errors import CheckFailed

GAN = """
from torch import nn

class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.discriminator = nn.Linear(2, 1)

    def forward(self, speech, *, turn):
        return {}
"""
YAML = """\
dataset:
  train: {name: core/manifest, path: train.tsv}
  valid: {name: core/manifest, path: valid.tsv}
model:
  _target_: src.gan.Gan
checkpoint:
  best: [{monitor: valid/generator/loss}]
trainer:
  max_epochs: 2
optimizers:
  discriminator:
    parameters: ["discriminator.*"]
    clip: 1.0
  generator:
    parameters: ["generator.*"]
    optimizer: {lr: 2e-4}
    scheduler: {_target_: torch.optim.lr_scheduler.ExponentialLR, gamma: 0.99, interval: epoch}
    accumulate: 2
    every: 1
"""


def findings(toy_recipe: Any, yaml: str, source: str = GAN) -> list[tuple[str | None, ...]]:
    recipe = toy_recipe({"conf/training.yaml": yaml, "src/gan.py": source})
    return [(item.place, item.key, item.message, item.hint) for item in check_recipe(recipe)]


def test_a_right_section_has_no_findings_and_keeps_its_order(toy_recipe: Any) -> None:
    assert findings(toy_recipe, YAML) == []
    recipe = toy_recipe({"conf/training.yaml": YAML, "src/gan.py": GAN})
    config = load_configs(recipe, {}, roles=("training",))["training"].config
    assert list(config.optimizers) == ["discriminator", "generator"]
    assert config.optimizers["generator"].optimizer.config.lr == 2e-4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "    accumulate: 2",
            "    acumulate: 2",
            ("18", "generator.acumulate", "unknown key 'acumulate'", "did you mean 'accumulate'?"),
        ),
        (
            "    accumulate: 2",
            "    accumulate: 0",
            ("14", "generator", "`accumulate` is 0, and has to be at least 1", None),
        ),
        (
            '["generator.*"]',
            '["generatr.*"]',
            (
                "15",
                "generator.parameters.0",
                "'generatr.*' matches no parameter: Gan has no part 'generatr'",
                "did you mean 'generator'?",
            ),
        ),
        (
            "{lr: 2e-4}",
            "{name: core/adamm}",
            (
                "16",
                "generator.optimizer.name",
                "there is no optimizer 'core/adamm'",
                "did you mean core/adam?",
            ),
        ),
        ("  generator:", "  gene-rator:", ("14", "gene-rator", "'gene-rator' is not a name", None)),
    ],
)
def test_mistakes_in_it_are_found_at_their_line(toy_recipe: Any, old: str, new: str, expected: Any) -> None:
    line, key, message, hint = expected
    first = findings(toy_recipe, YAML.replace(old, new))[0]
    assert first[0] == f"conf/training.yaml:{line}"
    assert first[1] == f"training.optimizers.{key}"
    assert first[2] is not None
    assert first[2].startswith(message)
    assert first[3] == hint


@pytest.mark.parametrize(
    ("more", "key", "message"),
    [
        ("optimizer: {name: core/sgd}\n", "optimizer", "`optimizer` and `optimizers` are both set"),
        (
            "scheduler: {name: core/warmup_cosine}\n",
            "scheduler",
            "`scheduler` and `optimizers` are both set",
        ),
    ],
)
def test_one_optimizer_and_several_exclude_each_other(
    toy_recipe: Any, more: str, key: str, message: str
) -> None:
    ((place, where, found, _),) = findings(toy_recipe, YAML + more)
    assert (place, where, found) == ("conf/training.yaml:20", f"training.{key}", message)
    recipe = toy_recipe({"conf/training.yaml": YAML + more, "src/gan.py": GAN})
    with pytest.raises(CheckFailed, match="both set"):
        load_configs(recipe, {}, roles=("training",))


def test_keys_of_the_trainer_that_each_optimizer_has_of_its_own(toy_recipe: Any) -> None:
    yaml = YAML.replace(
        "  max_epochs: 2", "  max_epochs: 2\n  gradient_clip_val: 1.0\n  accumulate_grad_batches: 2"
    )
    assert [(place, hint) for place, _, _, hint in findings(toy_recipe, yaml)] == [
        ("conf/training.yaml:10", "set `clip` of each optimizer"),
        ("conf/training.yaml:11", "set `accumulate` of each optimizer"),
    ]


@pytest.mark.parametrize(
    ("monitor", "place", "hint"),
    [
        ("  best: [{monitor: valid/genrator/loss}]", "7", "did you mean 'valid/generator/loss'?"),
        (
            "  best: [{monitor: valid/loss}]",
            "7",
            "set checkpoint.best: [{monitor: valid/discriminator/loss or valid/generator/loss}]",
        ),
        (
            "  every_steps: 5",
            "10",
            "set checkpoint.best: [{monitor: valid/discriminator/loss or valid/generator/loss}]",
        ),
    ],
)
def test_what_checkpoints_are_selected_by(toy_recipe: Any, monitor: str, place: str, hint: str) -> None:
    yaml = YAML.replace("  best: [{monitor: valid/generator/loss}]", monitor)
    ((where, _, message, found),) = findings(toy_recipe, yaml)
    assert where == f"conf/training.yaml:{place}"
    assert message is not None
    assert "which is not logged with named optimizers" in message
    assert found == hint


def test_a_model_that_cannot_tell_whose_turn_it_is(toy_recipe: Any) -> None:
    ((place, _, message, _),) = findings(toy_recipe, YAML, GAN.replace(", *, turn", ""))
    assert place == "conf/training.yaml:10"
    assert message is not None
    assert message.startswith("forward of Gan does not take `turn`")


@pytest.mark.parametrize(
    "source",
    [
        GAN.replace("self.generator = nn.Linear(2, 2)", "self.add_module('generatr', nn.Linear(2, 2))"),
        GAN.replace("(nn.Module)", "(Base)").replace("class Gan", "class Base(nn.Module): ...\n\nclass Gan"),
        "def Gan():\n    return None\n",
    ],
)
def test_what_the_source_does_not_tell_passes(toy_recipe: Any, source: str) -> None:
    assert findings(toy_recipe, YAML.replace('["generator.*"]', '["generatr.*"]'), source) == []
