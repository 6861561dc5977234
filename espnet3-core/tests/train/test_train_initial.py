"""Weights of another model: what is taken over under each policy, and what is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet3_core.config.roles import InitConfig
from espnet3_core.errors import UserError
from espnet3_core.train.checkpoints import save_weights
from espnet3_core.train.initial import Initial, Report, load_initial
from torch import nn


class Tokens:
    """A vocabulary."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = ("<blank>", "<unk>", *tokens, "<eos>")

    def __len__(self) -> int:
        return len(self.tokens)

    def load(self, directory: Path) -> None:
        pass


class Model(nn.Module):
    """Tokens along the first axis, along the second, and nowhere; `extra` is something new."""

    def __init__(self, tokens: int, size: int = 5, extra: bool = False) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, 3)
        self.feedback = nn.Linear(tokens, 4)
        self.body = nn.Linear(4, size)
        self.extra = nn.Linear(2, 2) if extra else None


OLD, NEW = Tokens("a", "b"), Tokens("a", "b", "c")


def begin(
    tmp_path: Path, model: nn.Module, tokens: Tokens = OLD, **policy: Any
) -> tuple[dict[str, Any], Report]:
    """Weights of an old model, and the report of beginning from it."""
    torch.manual_seed(1)
    old = Model(len(OLD)).state_dict()
    save_weights(tmp_path / "old.safetensors", old, {})
    bundled: Any = SimpleNamespace(build=lambda **needs: OLD)
    initial = Initial(InitConfig(source="old", **policy), tmp_path / "old.safetensors", tmp_path, bundled)
    size = model.body.out_features
    return old, load_initial(initial, model, tokens, lambda count: Model(count, size))


def test_everything_is_taken_over(tmp_path: Path) -> None:
    model = Model(len(OLD))
    old, report = begin(tmp_path, model)
    assert all(torch.equal(value, old[name]) for name, value in model.state_dict().items())
    assert str(report) == "5 loaded"


def test_a_vocabulary_grows_where_its_tokens_are(tmp_path: Path) -> None:
    torch.manual_seed(2)
    model = Model(len(NEW))
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    old, report = begin(tmp_path, model, NEW, vocabulary="extend")
    assert (report.extended, len(report.loaded)) == (["embed.weight", "feedback.weight"], 3)
    found = model.state_dict()
    # blank, unknown, a, b keep their places; the sentence boundary moves from 4 to 5; c, at 4, is new.
    for name, axis in (("embed.weight", 0), ("feedback.weight", 1)):
        rows, before = found[name].movedim(axis, 0), old[name].movedim(axis, 0)
        assert torch.equal(rows[[0, 1, 2, 3, 5]], before)
        assert torch.equal(rows[4], fresh[name].movedim(axis, 0)[4])
    assert torch.equal(found["body.weight"], old["body.weight"])


def test_a_vocabulary_is_replaced_even_by_one_of_the_same_size(tmp_path: Path) -> None:
    model = Model(len(OLD))
    fresh = {name: value.clone() for name, value in model.state_dict().items()}
    old, report = begin(tmp_path, model, Tokens("x", "y"), vocabulary="replace")
    assert report.new == ["embed.weight", "feedback.weight"]
    assert torch.equal(model.embed.weight, fresh["embed.weight"])
    assert torch.equal(model.body.weight, old["body.weight"])


def test_new_and_left_out_weights_are_reported(tmp_path: Path) -> None:
    model = Model(len(OLD), size=9, extra=True)
    _, report = begin(tmp_path, model, skip=["body.*"])
    assert report.new == ["body.weight", "body.bias", "extra.weight", "extra.bias"]
    assert report.unused == ["body.bias", "body.weight"]


@pytest.mark.parametrize(
    ("tokens", "size", "policy", "message"),
    [
        (OLD, 9, {}, r"2 weights have another shape: body\.weight \(5, 4\) instead of \(9, 4\)"),
        (NEW, 5, {}, r"2 weights have another shape: embed\.weight \(5, 3\) instead of \(6, 3\)"),
        (OLD, 5, {"skip": ["*"]}, "no weight fits"),
    ],
)
def test_other_models_are_refused(
    tmp_path: Path, tokens: Tokens, size: int, policy: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        begin(tmp_path, Model(len(tokens), size), tokens, **policy)
