"""Signatures read from source against those that ``inspect`` finds by importing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from espnet3_core.build import locate
from espnet3_core.config.sources import resolve, signature_of

TARGETS = [
    "torch.optim.AdamW",
    "torch.optim.SGD",
    "torch.optim.lr_scheduler.StepLR",
    "torch.optim.lr_scheduler:OneCycleLR",
    "torch.nn.Linear",
    "torch.nn.LSTM",
    "torch.nn.CrossEntropyLoss",
    "torch.utils.data.DataLoader",
    "torch.utils.data.TensorDataset",
    "espnet3_core.component:Component",
    "espnet3_core.component.Component.from_node",
    "espnet3_core.specs.StageSpec",
    "espnet3_core.config.roles:BatchConfig",
    "argparse.ArgumentParser",
    "fractions.Fraction",
    "json.dumps",
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_source_gives_the_signature_that_importing_gives(target):
    static = signature_of(target)
    expected = inspect.signature(locate(target)).parameters.values()
    variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    named = [item for item in expected if item.kind not in variadic]
    assert [item.name for item in static.parameters] == [item.name for item in named]
    assert [item.required for item in static.parameters] == [item.default is item.empty for item in named]
    assert [item.keyword_only for item in static.parameters] == [
        item.kind is item.KEYWORD_ONLY for item in named
    ]
    assert static.open == any(item.kind is item.VAR_KEYWORD for item in expected)


@pytest.mark.parametrize(
    "target", ["torch.optim.AdamX", "torch.optim.adamv.AdamW", "json:dump_all", "no.Such"]
)
def test_what_is_not_there_is_a_lookup_error(target):
    with pytest.raises(LookupError):
        resolve(target)


def test_reading_a_signature_imports_nothing():
    code = (
        "import sys; from espnet3_core.config.sources import signature_of\n"
        "signature_of('torch.optim.AdamW'); signature_of('lightning.pytorch:Trainer')\n"
        "print(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
