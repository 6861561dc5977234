import math
import pickle

import pytest
import torch
from espnet3_core.errors import UserError
from espnet3_speech.layers.positions import PositionTable, ScaledInput, sinusoids


def test_sinusoids_follow_the_formula() -> None:
    table = sinusoids(torch.tensor([-2, 0, 5]), 6)
    for row, position in enumerate((-2, 0, 5)):
        for i in range(3):
            angle = position / 10000 ** (2 * i / 6)
            assert table[row, 2 * i].item() == pytest.approx(math.sin(angle))
            assert table[row, 2 * i + 1].item() == pytest.approx(math.cos(angle))


def test_table_grows_and_rows_stay() -> None:
    like = torch.zeros(1)
    for signed in (False, True):
        table = PositionTable(4, signed=signed)
        short = table(10, like).clone()
        long = table(3000, like)
        expected = torch.arange(2999, -3000, -1) if signed else torch.arange(3000)
        assert torch.allclose(long, sinusoids(expected, 4).float())
        middle = slice(2990, 3009) if signed else slice(0, 10)
        assert torch.equal(long[middle], short)
        assert torch.equal(table(10, like), short)


def test_table_made_in_inference_mode_serves_training() -> None:
    table = PositionTable(4)
    with torch.inference_mode():
        table(5, torch.zeros(1))
    weight = torch.ones(4, requires_grad=True)
    (table(5, torch.zeros(1)) * weight).sum().backward()
    assert weight.grad is not None


def test_tables_are_not_saved() -> None:
    module = ScaledInput(4, 0.0, add_positions=True)
    module(torch.zeros(1, 3, 4))
    assert not module.state_dict()
    assert len(pickle.dumps(module)) < 5000
    assert torch.equal(pickle.loads(pickle.dumps(module))(torch.ones(1, 3, 4)), module(torch.ones(1, 3, 4)))


def test_scaled_input_with_offset() -> None:
    module = ScaledInput(4, 0.0, add_positions=True)
    values = torch.randn(1, 5, 4)
    whole = module(values)
    assert torch.allclose(whole, values * 2 + sinusoids(torch.arange(5), 4).float())
    assert torch.equal(whole[:, 3:4], module(values[:, 3:4], 3))


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(UserError, match="even size"):
        PositionTable(5)
