import copy

import pytest
import torch
from espnet3_speech.layers import strided_conv
from espnet3_speech.layers.strided_conv import conv_relus
from espnet3_speech.layers.subsampling import ConvSubsampling
from torch import nn


@pytest.mark.parametrize("positions", [1, 40, 10_000])
@pytest.mark.parametrize(
    "steps",
    [
        ((1, 3, 2),), ((4, 3, 2),), ((1, 3, 1), (6, 3, 1)), ((1, 3, 2), (6, 5, 3)),
        ((1, 3, 2), (6, 3, 2), (6, 3, 2)),
    ],
)  # fmt: skip
def test_values_and_gradients_are_those_of_torch_in_pieces_of_any_size(steps, positions, monkeypatch):
    monkeypatch.setattr(strided_conv, "_POSITIONS", positions)
    torch.manual_seed(0)
    layers = nn.ModuleList(nn.Conv2d(channels, 6, kernel, stride) for channels, kernel, stride in steps)
    values = torch.randn(3, steps[0][0], 41, 18, requires_grad=True)
    output = conv_relus(list(layers), values)
    toward = torch.randn_like(output)
    output.backward(toward)
    found = [values.grad, *(parameter.grad for parameter in layers.parameters())]

    exact, plain = copy.deepcopy(layers).double(), values.detach().double().requires_grad_()
    exact.zero_grad()
    expected = plain
    for layer in exact:
        expected = torch.relu(layer(expected))
    expected.backward(toward.double())
    torch.testing.assert_close(output.double(), expected, rtol=1e-5, atol=1e-5)
    for mine, theirs in zip(found, [plain.grad, *(p.grad for p in exact.parameters())], strict=True):
        torch.testing.assert_close(mine.double(), theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["conv2d", "conv2d1", "conv2d6", "conv2d8", "conv1d2"])
def test_input_layers_agree_with_double_precision_which_takes_torchs_own_way(kind):
    torch.manual_seed(0)
    layer = ConvSubsampling(kind, 40, 16)
    features, lengths = torch.randn(2, 50, 40), torch.tensor([50, 31])
    output, _ = layer(features, lengths)
    output.square().sum().backward()
    exact = copy.deepcopy(layer).double()
    exact.zero_grad()
    expected, _ = exact(features.double(), lengths)
    expected.square().sum().backward()
    torch.testing.assert_close(output.double(), expected, rtol=1e-4, atol=1e-4)
    for mine, theirs in zip(layer.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.double(), theirs.grad, rtol=1e-3, atol=1e-3)


def test_autocast_keeps_its_own_way():
    layer = ConvSubsampling("conv2d", 40, 16)
    features, lengths = torch.randn(2, 50, 40), torch.tensor([50, 31])
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = layer(features, lengths)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(features, lengths)[0], rtol=0.1, atol=0.05)
