"""ESPnet2's names and layouts: against names, shapes and losses that ESPnet itself gave."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from espnet3_asr.interop.espnet2 import encoder_of, from_espnet2, to_espnet2
from espnet3_core.build import build
from espnet3_core.errors import UserError

HERE = Path(__file__).parent
REFERENCE = json.loads((HERE / "espnet2_reference.json").read_text())
ENCODERS = list(REFERENCE)
COMMON = {
    "output_size": 16,
    "attention_heads": 2,
    "linear_units": 24,
    "num_blocks": 2,
    "input_layer": "conv2d",
    "dropout": 0.0,
    "positional_dropout": 0.0,
}
DECODER = {"attention_heads": 2, "linear_units": 24, "num_blocks": 1}
OPTIONS = {
    "transformer": {},
    "conformer": {"conv_kernel": 5, "positions": "rel_pos"},
    "e_branchformer": {"cgmlp_units": 24, "cgmlp_kernel": 5, "merge_kernel": 3, "positions": "rel_pos"},
}


def recipe():
    """The script that wrote the reference, for its inputs."""
    spec = importlib.util.spec_from_file_location("espnet2_reference", HERE / "make_espnet2_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def model(encoder, **options):
    node = {
        "name": "asr/ctc_attention",
        "frontend": {"name": "speech/log_mel"},
        "normalizer": {"name": "speech/utterance_mvn"},
        "encoder": {"name": f"speech/{encoder}", **COMMON, **OPTIONS[encoder], **options},
        "decoder": {"name": "speech/transformer_decoder", **DECODER},
    }
    needs = {"vocab_size": 7, "sample_rate": 16_000, "stats": None, "tokenizer": None}
    return build(node, needs, kind="model", path="training.model").eval()


def theirs(encoder):
    """A state dict as ESPnet's."""
    values = recipe().weights
    return {
        name: torch.from_numpy(values(name, shape)) for name, shape in REFERENCE[encoder]["shapes"].items()
    }


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_model_of_espnet_gives_here_the_losses_that_it_gives_there(encoder):
    mine = model(encoder)
    mine.load_state_dict(from_espnet2(theirs(encoder)))
    speech, text, lengths = (torch.from_numpy(value) for value in recipe().batch())
    with torch.inference_mode():
        found = mine(speech, torch.full((2,), speech.shape[1]), text, lengths)
    for name in ("loss", "loss_ctc", "loss_att"):
        assert found[name].item() == pytest.approx(REFERENCE[encoder][name], rel=1e-5), name


@pytest.mark.parametrize("encoder", ENCODERS)
def test_there_and_back_again(encoder):
    mine = model(encoder).state_dict()
    exported = to_espnet2(mine, encoder)
    computed = ("frontend.", "num_batches_tracked")
    shapes = REFERENCE[encoder]["shapes"]
    expected = {name: shape for name, shape in shapes.items() if not any(part in name for part in computed)}
    assert {name: list(value.shape) for name, value in exported.items()} == expected
    assert encoder_of(exported) == encoder
    returned = from_espnet2(exported)
    assert returned.keys() == mine.keys()
    assert all(torch.equal(returned[name], value) for name, value in mine.items())


def test_statistics_of_global_normalization_come_along():
    state = theirs("conformer") | {"normalize.mean": torch.ones(80), "normalize.std": torch.full((80,), 2.0)}
    found = from_espnet2(state)
    assert found["stack.normalizer.std"].tolist() == [2.0] * 80
    assert found["stack.normalizer.count"] > 0


def test_names_from_before_2026_are_read():
    state = theirs("conformer")
    for kind in ("weight", "bias"):
        state[f"encoder.embed.out.0.{kind}"] = state.pop(f"encoder.embed.out.{kind}")
    model("conformer").load_state_dict(from_espnet2(state))


def test_what_has_no_place_here_is_named():
    with pytest.raises(UserError, match="no counterpart for decoder.rnn.weight"):
        from_espnet2(theirs("conformer") | {"decoder.rnn.weight": torch.zeros(1)})
    state = theirs("conformer")
    del state["encoder.encoders.1.self_attn.linear_k.bias"]
    with pytest.raises(
        UserError, match=r"encoders.1.self_attn.linear_q.bias is there and .*linear_k.bias is not"
    ):
        from_espnet2(state)
