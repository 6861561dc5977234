import copy
import time

import pytest
import torch
from espnet3_speech.layers import linear as module
from espnet3_speech.layers.linear import FusedLinear, Linear, product
from torch import nn


@pytest.mark.parametrize(("inputs", "outputs"), [(24, 40), (40, 24)])
@pytest.mark.parametrize("bias", [True, False])
def test_values_and_gradients_are_those_of_torch(inputs, outputs, bias):
    torch.manual_seed(0)
    layer = Linear(inputs, outputs, bias)
    values = torch.randn(3, 50, inputs, requires_grad=True)
    output = layer(values)
    toward = torch.randn_like(output)
    output.backward(toward)

    exact, plain = copy.deepcopy(layer).double(), values.detach().double().requires_grad_()
    exact.zero_grad()
    expected = nn.functional.linear(plain, exact.weight, exact.bias)
    expected.backward(toward.double())
    assert "_Linear" in type(output.grad_fn).__name__, "this is to test the way that oneDNN takes"
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(values.grad.double(), plain.grad, rtol=1e-4, atol=1e-5)
    for mine, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-4, atol=1e-4)


def test_gradients_of_gradients_are_those_of_torch():
    torch.manual_seed(0)
    found = []
    for layer in (Linear(6, 5), nn.Linear(6, 5)):
        torch.manual_seed(1)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_()
        values = torch.randn(80, 6, requires_grad=True)
        (slope,) = torch.autograd.grad(layer(values).tanh().sum(), values, create_graph=True)
        slope.square().sum().backward()
        found.append([values.grad, layer.weight.grad])
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_matrices_with_gaps_take_no_longer():
    wide = torch.randn(600, 4, 64)
    seconds = {}
    for way, part in (("gaps", wide[:, 1]), ("dense", wide[:, 1].contiguous())):
        torch.testing.assert_close(product(part, part), part @ part.t(), rtol=1e-4, atol=1e-3)
        start = time.process_time()
        product(part, part)
        seconds[way] = time.process_time() - start
    assert seconds["gaps"] < 50 * max(seconds["dense"], 1e-3)


def test_only_what_needs_a_gradient_gets_one():
    layer = Linear(4, 3).requires_grad_(False)
    values = torch.randn(100, 4, requires_grad=True)
    layer(values).sum().backward()
    assert values.grad is not None
    assert layer.weight.grad is None and layer.bias.grad is None


@pytest.mark.parametrize("rows", [0, 1, 63, 64])
def test_few_rows_and_none(rows):
    layer, values = Linear(4, 3), torch.randn(rows, 4)
    torch.testing.assert_close(layer(values), nn.functional.linear(values, layer.weight, layer.bias))


def test_torchs_own_way_where_types_are_chosen_by_others(monkeypatch):
    def refuse(*_):
        raise AssertionError("oneDNN was asked")

    monkeypatch.setattr(module._Linear, "apply", refuse)
    layer, values = FusedLinear(4, 3, 2), torch.randn(100, 4)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(values).dtype == torch.bfloat16
    assert layer.double()(values.double()).shape == (100, 6)
