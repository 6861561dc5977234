import copy
import pickle
from dataclasses import replace
from typing import Any

import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.errors import UserError
from espnet3_speech.encoders.chain import ChainEncoder
from espnet3_speech.encoders.config import (
    ChainConfig,
    ConformerConfig,
    EBranchformerConfig,
    FastConformerConfig,
    RNNConfig,
    TDNNConfig,
    TransformerConfig,
)
from espnet3_speech.encoders.conformer import ConformerEncoder
from espnet3_speech.encoders.e_branchformer import EBranchformerEncoder
from espnet3_speech.encoders.fast_conformer import FastConformerEncoder
from espnet3_speech.encoders.rnn import RNNEncoder
from espnet3_speech.encoders.tdnn import TDNNEncoder
from espnet3_speech.encoders.transformer import TransformerEncoder
from torch import nn

SMALL: dict[str, Any] = {"output_size": 16, "attention_heads": 2, "linear_units": 24, "num_blocks": 3}
BLOCKS: dict[str, tuple[Any, Any]] = {
    "transformer": (TransformerEncoder, TransformerConfig(**SMALL)),
    "transformer rel_pos": (
        TransformerEncoder,
        TransformerConfig(**SMALL, positions="rel_pos", input_layer="conv1d2"),
    ),
    "conformer": (ConformerEncoder, ConformerConfig(**SMALL, conv_kernel=7)),
    "conformer rope layer_norm": (
        ConformerEncoder,
        ConformerConfig(
            **SMALL, conv_kernel=7, positions="rope", conv_norm="layer_norm", input_layer="stack"
        ),
    ),
    "conformer none": (
        ConformerEncoder,
        ConformerConfig(**SMALL, positions="none", macaron=False, conv_kernel=5),
    ),
    "fast_conformer": (FastConformerEncoder, FastConformerConfig(**SMALL, subsampling_channels=8)),
    "e_branchformer": (
        EBranchformerEncoder,
        EBranchformerConfig(**SMALL, cgmlp_units=20, cgmlp_kernel=7, merge_kernel=5),
    ),
    "e_branchformer variant": (
        EBranchformerEncoder,
        EBranchformerConfig(
            **SMALL,
            cgmlp_units=20,
            cgmlp_linear_after_conv=True,
            gate_activation="swish",
            use_ffn=False,
            positions="abs_pos",
        ),
    ),
}
ALL: dict[str, tuple[Any, Any]] = {
    **BLOCKS,
    "tdnn": (TDNNEncoder, TDNNConfig(hidden_size=16, num_layers=3)),
    "rnn": (RNNEncoder, RNNConfig(hidden_size=8, num_layers=2)),
    "rnn lstm stack": (
        RNNEncoder,
        RNNConfig(hidden_size=8, cell="lstm", input_layer="stack", output_size=12),
    ),
    "rnn conv2d": (
        RNNEncoder,
        RNNConfig(hidden_size=8, num_layers=1, input_layer="conv2d", bidirectional=False),
    ),
}
CHAIN = ChainConfig(
    encoders=[
        Component(name="speech/tdnn", options={"hidden_size": 16, "num_layers": 2, "stack": 2}),
        Component(name="speech/rnn", options={"hidden_size": 8, "input_layer": "stack", "stack": 3}),
    ]
)
ALL["chain"] = (ChainEncoder, CHAIN)
LENGTHS = torch.tensor([90, 61, 33, 9, 3])


def make(name: str) -> nn.Module:
    torch.manual_seed(1)
    build, config = ALL[name]
    encoder: nn.Module = build(copy.deepcopy(config), input_size=20)
    for key, buffer in encoder.named_buffers():
        # Statistics other than the initial ones, so that a normalization skipped would be seen.
        buffer.uniform_(0.5, 2.0) if "running" in key else None
    return encoder


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(("dtype", "bar"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
def test_batch_and_padding_change_nothing(name: str, dtype: torch.dtype, bar: float) -> None:
    encoder = make(name).to(dtype).eval()
    features = torch.randn(5, 97, 20, dtype=dtype)
    with torch.no_grad():
        together, lengths, _ = encoder(features, LENGTHS)
        assert torch.equal(lengths, encoder.output_lengths(LENGTHS))  # type: ignore[operator]
        assert together.shape[2] == encoder.output_size
        for row, length in enumerate(LENGTHS.tolist()):
            alone = encoder(features[row : row + 1, :length], LENGTHS[row : row + 1])
            frames = int(lengths[row])
            assert alone.features.shape[1] == alone.lengths.item() == frames
            assert (alone.features[0] - together[row, :frames]).abs().max() <= bar
            assert together[row, frames:].eq(0).all()


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_finite_and_reach_every_parameter(name: str) -> None:
    encoder = make(name).train()
    features = torch.randn(5, 97, 20).mul_(3)
    encoder(features, LENGTHS).features.square().sum().backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", BLOCKS)
def test_padding_changes_no_gradient_in_training(name: str) -> None:
    build, config = ALL[name]
    config = replace(config, dropout=0.0, positional_dropout=0.0)
    torch.manual_seed(1)
    encoder = build(config, input_size=20).double().train()
    features = torch.randn(2, 60, 20, dtype=torch.float64)
    gradients = []
    for extra in (0, 17):
        encoder.zero_grad()
        padded = torch.nn.functional.pad(features, (0, 0, 0, extra), value=5.0)
        encoder(padded, torch.tensor([60, 41])).features.square().sum().backward()
        gradients.append([p.grad.clone() for p in encoder.parameters()])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ALL)
def test_state_dicts_and_pickles_restore_it(name: str) -> None:
    encoder = make(name).eval()
    features = torch.randn(5, 97, 20)
    expected = encoder(features, LENGTHS).features
    build, config = ALL[name]
    torch.manual_seed(2)
    other = build(config, input_size=20).eval()
    other.load_state_dict(encoder.state_dict())
    assert torch.equal(other(features, LENGTHS).features, expected)
    assert torch.equal(pickle.loads(pickle.dumps(encoder))(features, LENGTHS).features, expected)


@pytest.mark.parametrize("name", ALL)
def test_bfloat16_autocast_trains(name: str) -> None:
    encoder = make(name).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = encoder(torch.randn(5, 97, 20), LENGTHS).features
    out.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    encoder.eval()
    features = torch.randn(5, 97, 20)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = encoder(features, LENGTHS).features
    with torch.no_grad():
        plain = encoder(features, LENGTHS).features
    assert (mixed.float() - plain).abs().mean() < 0.05 * plain.abs().mean() + 0.01


@pytest.mark.parametrize("name", BLOCKS)
def test_checkpointing_changes_neither_gradients_nor_statistics(name: str) -> None:
    build, config = ALL[name]
    features = torch.randn(5, 97, 20)
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(3)
        encoder = build(
            replace(config, checkpointing=checkpointing, attention_dropout=0.1), input_size=20
        ).train()
        torch.manual_seed(4)
        encoder(features, LENGTHS).features.square().sum().backward()
        results.append([p.grad for p in encoder.parameters()] + list(encoder.buffers()))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_intermediate_outputs_and_conditioning() -> None:
    encoder = make("conformer").eval()
    features = torch.randn(5, 97, 20)
    plain = encoder(features, LENGTHS, intermediate_layers=[1, 2])
    assert sorted(plain.intermediate) == [1, 2]
    assert torch.equal(plain.features, encoder(features, LENGTHS).features)
    # Intermediate output k is what an encoder of k blocks would return, but for padding.
    short = ConformerEncoder(replace(ALL["conformer"][1], num_blocks=2), input_size=20).eval()
    short.load_state_dict({k: v for k, v in encoder.state_dict().items() if not k.startswith("blocks.2.")})
    until = int(plain.lengths[0])
    assert torch.equal(short(features, LENGTHS).features[0, :until], plain.intermediate[2][0, :until])
    calls: list[torch.Tensor] = []

    def condition(hidden: torch.Tensor) -> torch.Tensor:
        calls.append(hidden)
        return hidden.flip(-1)  # a constant would vanish in the next layer normalization

    changed = encoder(features, LENGTHS, intermediate_layers=[1], condition=condition)
    assert torch.equal(calls[0], plain.intermediate[1])
    assert not torch.allclose(changed.features, plain.features)


@pytest.mark.parametrize(
    ("name", "layers"), [("conformer", [3]), ("transformer", [0]), ("rnn", [1]), ("tdnn", [3])]
)
def test_unknown_intermediate_layers_are_refused(name: str, layers: list[int]) -> None:
    with pytest.raises(UserError, match="intermediate layers"):
        make(name)(torch.randn(1, 50, 20), torch.tensor([50]), intermediate_layers=layers)


def test_layer_drop_skips_blocks_per_utterance() -> None:
    config = TransformerConfig(**SMALL, layer_drop=0.5, dropout=0.0, positional_dropout=0.0)
    encoder = TransformerEncoder(config, input_size=20).train()
    features = torch.randn(1, 50, 20).expand(64, -1, -1)
    outputs = encoder(features, torch.full((64,), 50)).features
    # Three blocks kept or skipped: at most eight different results, and several of them at 64 draws.
    distinct = torch.unique((outputs[:, 0, 0] * 1e3).round()).numel()
    assert 4 <= distinct <= 8
    encoder.eval()
    assert encoder(features, torch.full((64,), 50)).features.std(0).max() < 1e-6


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_layers_equal_torch_on_packed_sequences(cell: Any) -> None:
    encoder = RNNEncoder(RNNConfig(hidden_size=8, num_layers=2, cell=cell), input_size=20).double().eval()
    torch_class = nn.GRU if cell == "gru" else nn.LSTM
    reference = torch_class(20, 8, 2, batch_first=True, bidirectional=True).double()
    weights = {}
    for number, layer in enumerate(encoder.layers):
        for direction, suffix in ((layer.ahead, ""), (layer.back, "_reverse")):
            for name, weight in direction.state_dict().items():  # type: ignore[union-attr,operator]
                weights[name.replace("_l0", f"_l{number}{suffix}")] = weight
    reference.load_state_dict(weights)
    features, lengths = torch.randn(3, 11, 20, dtype=torch.float64), torch.tensor([11, 6, 1])
    packed = nn.utils.rnn.pack_padded_sequence(features, lengths, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(reference(packed)[0], batch_first=True)
    assert torch.allclose(encoder(features, lengths).features, expected)


def test_a_chain_is_its_encoders_one_after_the_other() -> None:
    chain = make("chain").eval()
    first, second = chain.encoders
    features = torch.randn(5, 90, 20)
    found = chain(features, LENGTHS)
    middle = first(features, LENGTHS)
    wanted = second(middle.features, middle.lengths)
    assert torch.equal(found.features, wanted.features)
    assert found.lengths.tolist() == chain.output_lengths(LENGTHS).tolist() == [15, 11, 6, 2, 1]
    assert (first.output_size, chain.output_size) == (16, 16)
    with pytest.raises(UserError, match="no intermediate layers"):
        chain(features, LENGTHS, intermediate_layers=(1,))
    with pytest.raises(UserError, match="no encoders"):
        ChainConfig(encoders=[])
