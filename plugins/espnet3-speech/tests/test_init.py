import math

import pytest
import torch
from espnet3_speech.encoders.config import ConformerConfig
from espnet3_speech.encoders.conformer import ConformerEncoder
from espnet3_speech.init import initialize
from torch import nn


def encoder() -> ConformerEncoder:
    torch.manual_seed(0)
    return ConformerEncoder(ConformerConfig(num_blocks=1, output_size=64, linear_units=128), input_size=20)


def test_xavier_treats_fused_projections_as_separate_layers() -> None:
    model = encoder()
    initialize(model, "xavier_uniform")
    block = model.blocks[0]
    weight = block.attention.project.weight  # type: ignore[union-attr]
    bound = math.sqrt(6 / (64 + 64))
    for part in weight.chunk(3):  # type: ignore[operator]
        assert part.abs().max() <= bound
        assert part.abs().max() > 0.98 * bound
    assert all(
        m.bias is None or m.bias.eq(0).all() for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d)
    )
    assert all(m.weight.eq(1).all() for m in model.modules() if isinstance(m, nn.LayerNorm))


@pytest.mark.parametrize("scheme", ["xavier_normal", "kaiming_uniform", "kaiming_normal"])
def test_schemes_change_weights_by_the_seed(scheme: str) -> None:
    one, two = encoder(), encoder()
    for model in (one, two):
        torch.manual_seed(9)
        initialize(model, scheme)  # type: ignore[arg-type]
    weight = one.subsampling.out.weight  # type: ignore[union-attr]
    assert torch.equal(weight, two.subsampling.out.weight)  # type: ignore[union-attr,arg-type]
    assert not torch.equal(weight, encoder().subsampling.out.weight)  # type: ignore[union-attr,arg-type]


def test_default_changes_nothing() -> None:
    model = encoder()
    initialize(model, "default")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), encoder().parameters(), strict=True))


def test_unknown_schemes_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown initialization 'zeros'"):
        initialize(encoder(), "zeros")  # type: ignore[arg-type]
