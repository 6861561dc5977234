import pytest
import torch
from espnet3_speech.layers.dropout import Dropout, dropout


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_rate_and_scale(probability: float) -> None:
    torch.manual_seed(0)
    out = dropout(torch.ones(1001, 333), probability, True)
    zeros = (out == 0).double().mean().item()
    assert zeros == pytest.approx(probability, abs=3e-3)
    assert out[out != 0].unique().numel() == 1
    assert out.double().mean().item() == pytest.approx(1.0, abs=0.02)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(0)
    kept = (dropout(torch.ones(400_000), 0.5, True) != 0).double()
    for distance in (1, 2, 3, 4, 8):
        both = (kept[distance:] * kept[:-distance]).mean().item()
        assert both == pytest.approx(0.25, abs=5e-3)


def test_it_follows_the_seed_and_the_mode() -> None:
    module, values = Dropout(0.3), torch.randn(7, 9)
    torch.manual_seed(1)
    first, second = module(values), module(values)
    torch.manual_seed(1)
    assert torch.equal(first, module(values))
    assert not torch.equal(first, second)
    assert module.eval()(values) is values
    assert Dropout(0.0)(values) is values


def test_everything_can_be_dropped() -> None:
    assert dropout(torch.ones(5), 1.0, True).eq(0).all()


def test_gradient_has_the_same_mask() -> None:
    values = torch.ones(100, requires_grad=True)
    out = dropout(values, 0.5, True)
    out.sum().backward()
    assert values.grad is not None
    assert torch.equal(values.grad, out.detach())


def test_dtype_stays() -> None:
    assert dropout(torch.ones(3, dtype=torch.bfloat16), 0.5, True).dtype == torch.bfloat16
    assert dropout(torch.ones(0, 4), 0.5, True).shape == (0, 4)


def test_an_exported_graph_has_torchs_own() -> None:
    exported = torch.export.export(Dropout(0.3).train(), (torch.ones(4, 5),))
    assert "aten.dropout.default" in str(exported.graph)
