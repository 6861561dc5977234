"""Signatures read from source against those that ``inspect`` finds by importing."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
from espnet3_core.build import locate
from espnet3_core.config.signatures import signature_of
from espnet3_core.config.sources import Unknown, resolve

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
        "import sys; from espnet3_core.config.signatures import signature_of\n"
        "signature_of('torch.optim.AdamW'); signature_of('lightning.pytorch:Trainer')\n"
        "print(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("source", "name", "outcome"),
    [
        ("def f(a, *, b=1): ...\n", "f", ("a", "b")),
        ("class A:\n    def __init__(self, x): ...\nclass B(A): ...\n", "B", ("x",)),
        ("from fractions import Fraction as F\n", "F.from_float", ("f",)),
        ("import json as j\ndump = j.dumps\n", "dump", "obj"),
        ("try:\n    from nowhere import f\nexcept ImportError:\n    def f(q): ...\n", "f", ("q",)),
        ("for x in (1,):\n    def f(w): ...\n", "f", ("w",)),
        ("f, g = (lambda a: a), 1\n", "f", None),
        ("from fractions import *\n", "Fraction.from_float", ("f",)),
        ("globals().update(f=print)\n", "f", None),
        ("def __getattr__(name): ...\n", "f", None),
        (
            "from dataclasses import dataclass\n@dataclass\nclass D:\n    a: int\n    b: int = 0\n",
            "D",
            ("a", "b"),
        ),
        ("class M(type): ...\nclass A(metaclass=M): ...\n", "A", None),
        ("x = 1\n", "f", LookupError),
        ("", "A", LookupError),
    ],
)
def test_the_ways_in_which_modules_define_names(tmp_path, monkeypatch, source, name, outcome):
    module = f"defining_{abs(hash((source, name)))}"
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    if outcome is LookupError:
        with pytest.raises(LookupError):
            resolve(f"{module}.{name}")
    elif outcome is None:
        with pytest.raises(Unknown):
            signature_of(f"{module}:{name}")
    else:
        names = signature_of(f"{module}.{name}").names
        assert names[0] == outcome if isinstance(outcome, str) else names == outcome
    assert module not in sys.modules
