import random

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_core.train.averages import average_weights
from espnet3_core.train.checkpoints import (
    Kept,
    Selection,
    load_state,
    load_weights,
    resolve_checkpoint,
    save_weights,
    write_index,
)
from safetensors import safe_open
from torch import nn


class Tied(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.embed = nn.Embedding(5, width)
        self.out = nn.Linear(width, 5)
        self.out.weight = self.embed.weight
        self.norm = nn.BatchNorm1d(width)


@pytest.mark.parametrize("mode", ["min", "max"])
def test_selection_keeps_what_sorting_would(mode):
    rng = random.Random(3)
    selection = Selection("valid/x", mode, 3)
    values, gone = [], set()
    for step in range(40):
        value = float(rng.randrange(12))
        values.append((value, step))
        if selection.wants(value):
            gone.update(selection.add(Kept(f"{step}", value, 0, step)))
    sign = 1 if mode == "min" else -1
    best = sorted(values, key=lambda item: (sign * item[0], item[1]))[:3]
    assert [(kept.value, kept.step) for kept in selection.kept] == best
    assert not gone & {kept.file for kept in selection.kept}
    assert not selection.wants(float("nan"))
    assert Selection.from_dict(selection.to_dict()) == selection


def test_average_is_the_mean_in_float64_and_counts_are_of_the_newest(tmp_path):
    states = []
    for index in range(3):
        torch.manual_seed(index)
        net = Tied()
        net.norm(torch.randn(4, 3))
        net.norm.num_batches_tracked.fill_(index)
        states.append({name: value.clone() for name, value in net.state_dict().items()})
        save_weights(tmp_path / f"{index}.safetensors", states[-1], {"epoch": index})
    found = average_weights([tmp_path / f"{index}.safetensors" for index in range(3)])
    for name, value in found.items():
        stack = torch.stack([state[name] for state in states])
        expected = stack.double().mean(0).to(stack.dtype) if stack.is_floating_point() else stack[-1]
        assert torch.equal(value, expected), name


def test_tied_weights_and_metadata_survive(tmp_path):
    net, other = Tied(), Tied()
    save_weights(tmp_path / "a.safetensors", net.state_dict(), {"epoch": 3, "values": {"valid/loss": 1.5}})
    with safe_open(tmp_path / "a.safetensors", "pt") as file:
        assert file.metadata() == {"epoch": "3", "values": '{"valid/loss": 1.5}'}
    load_weights(other, tmp_path / "a.safetensors")
    assert torch.equal(other.out.weight, net.embed.weight)
    assert other.out.weight is other.embed.weight


def test_equal_weights_make_equal_bytes(tmp_path):
    path, seen = tmp_path / "a.safetensors", set()
    weights = {"ä": torch.randn(3, 5), "count": torch.arange(3), "half": torch.randn(7).half()}
    for _ in range(10):
        save_weights(path, weights, {"epoch": 1, "step": 2, "values": {"valid/x": 0.5}, "name": "ü"})
        seen.add(path.read_bytes())
    assert len(seen) == 1
    assert all(torch.equal(load_state(path)[name], value) for name, value in weights.items())
    with safe_open(str(path), framework="pt") as stream:
        assert stream.metadata() == {"epoch": "1", "step": "2", "values": '{"valid/x": 0.5}', "name": "ü"}


def test_a_checkpoint_of_another_model_names_what_differs_and_changes_nothing(tmp_path):
    save_weights(tmp_path / "a.safetensors", nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)).state_dict(), {})
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(UserError) as caught:
        load_weights(net, tmp_path / "a.safetensors")
    text = str(caught.value)
    assert "checkpoint of another model" in text
    assert "2 missing (2.weight, 2.bias)" in text
    assert "2 unexpected (1.weight, 1.bias)" in text or "2 unexpected (1.bias, 1.weight)" in text
    assert "0.weight (3, 3) instead of (4, 3)" in text
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.ckpt"])
def test_a_broken_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match=rf"{name}: cannot be read as a checkpoint"):
        load_weights(nn.Linear(1, 1), tmp_path / name)


def test_a_state_dict_of_an_old_torch(tmp_path):
    net = nn.Linear(1, 1)
    torch.save(net.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    assert load_state(tmp_path / "old.pt").keys() == net.state_dict().keys()


def test_pickled_code_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "owned"), "w"))

    torch.save({"state_dict": Evil()}, tmp_path / "evil.ckpt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        load_weights(nn.Linear(1, 1), tmp_path / "evil.ckpt")
    assert not (tmp_path / "owned").exists()


def experiment(tmp_path):
    checkpoints = tmp_path / "checkpoints"
    for name in ("a", "b", "average", "average_1"):
        save_weights(checkpoints / f"{name}.safetensors", nn.Linear(1, 1).state_dict(), {})
    (checkpoints / "last.ckpt").touch()
    first = Selection("valid/loss", "min", 2, [Kept("b.safetensors", 1.0, 1, 2)], "average.safetensors")
    second = Selection("valid/acc", "max", 2, [Kept("a.safetensors", 0.5, 0, 1)], "average_1.safetensors")
    write_index(checkpoints, [first, second], {"file": "last.ckpt"})
    return checkpoints


@pytest.mark.parametrize(
    ("which", "name"),
    [
        ("best", "b.safetensors"),
        ("average", "average.safetensors"),
        ("last", "last.ckpt"),
        ("best:valid/acc", "a.safetensors"),
        ("average:valid/acc", "average_1.safetensors"),
        ("a.safetensors", "a.safetensors"),
        ("checkpoints/a.safetensors", "a.safetensors"),
    ],
)
def test_names_of_checkpoints(tmp_path, which, name):
    folder = experiment(tmp_path)
    assert resolve_checkpoint(tmp_path, which) == folder / name


def test_a_path_may_start_at_the_recipe(tmp_path, monkeypatch):
    folder = experiment(tmp_path / "recipe/exp/one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    which = "exp/one/checkpoints/a.safetensors"
    for other in (tmp_path / "recipe/exp/one", tmp_path / "recipe/exp/two"):
        assert resolve_checkpoint(other, which, tmp_path / "recipe") == folder / "a.safetensors"
    with pytest.raises(UserError, match="there is no checkpoint 'exp/one"):
        resolve_checkpoint(tmp_path / "recipe/exp/two", which)


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("avrage", "did you mean 'average'"),
        ("best:valid/cer", "selections by: valid/loss, valid/acc"),
        ("zzz.pt", "one of: a.safetensors, average.safetensors"),
    ],
)
def test_checkpoints_that_are_not_there(tmp_path, which, message):
    experiment(tmp_path)
    with pytest.raises(UserError, match=message):
        resolve_checkpoint(tmp_path, which)


def test_nothing_trained_yet(tmp_path):
    with pytest.raises(UserError, match=r"nothing has been trained here\n.*run stage train"):
        resolve_checkpoint(tmp_path, "best")
