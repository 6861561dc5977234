"""Names and layouts of ESPnet2's recognition models, and of ours: state dicts from one to the other.

Covers CTC and CTC/attention models with a Transformer, Conformer (``rel_pos_type: latest``) or E-Branchformer
encoder and a Transformer decoder. ESPnet2 has a linear layer per projection where ours are joined, and writes
pointwise convolutions as convolutions; nothing else differs but names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Encoder = Literal["transformer", "conformer", "e_branchformer"]


class _Rule(NamedTuple):
    """A parameter or a layer of ours, and those of ESPnet2's that make it up, joined along the outputs.

    ``*`` stands for the number of a block. ``pointwise`` layers have a last dimension of 1 there.
    """

    ours: str
    theirs: tuple[str, ...]
    pointwise: bool = False


def _projections(ours: str, theirs: str, parts: str) -> _Rule:
    return _Rule(ours, tuple(f"{theirs}.linear_{part}" for part in parts))


def _feed_forward(ours: str, theirs: str) -> tuple[_Rule, ...]:
    return _Rule(f"{ours}.0", (f"{theirs}.w_1",)), _Rule(f"{ours}.3", (f"{theirs}.w_2",))


def _layers(names: Mapping[str, str]) -> tuple[_Rule, ...]:
    return tuple(_Rule(ours, (theirs,)) for ours, theirs in names.items())


def _attention(theirs: str) -> tuple[_Rule, ...]:
    return (
        _projections("attention.project", theirs, "qkv"),
        *_layers(
            {
                "attention.out": f"{theirs}.linear_out",
                "attention.project_positions": f"{theirs}.linear_pos",
                "attention.content_bias": f"{theirs}.pos_bias_u",
                "attention.position_bias": f"{theirs}.pos_bias_v",
            }
        ),
    )


_STEPS = (*_feed_forward("macaron", "feed_forward_macaron"), *_feed_forward("feed_forward", "feed_forward"))
_NORMS = _layers(
    {
        "norm_macaron": "norm_ff_macaron",
        "norm_attention": "norm_mha",
        "norm_feed_forward": "norm_ff",
        "norm_out": "norm_final",
    }
)
_BLOCKS: dict[Encoder, tuple[_Rule, ...]] = {
    "transformer": (
        *_attention("self_attn"),
        *_feed_forward("feed_forward", "feed_forward"),
        *_layers({"norm_attention": "norm1", "norm_feed_forward": "norm2"}),
    ),
    "conformer": (
        *_attention("self_attn"),
        *_STEPS,
        *_NORMS,
        _Rule("convolution.expand", ("conv_module.pointwise_conv1",), pointwise=True),
        _Rule("convolution.contract", ("conv_module.pointwise_conv2",), pointwise=True),
        *_layers(
            {
                "convolution.depthwise": "conv_module.depthwise_conv",
                "convolution.norm": "conv_module.norm",
                "norm_convolution": "norm_conv",
            }
        ),
    ),
    "e_branchformer": (
        *_attention("attn"),
        *_STEPS,
        *_NORMS,
        *_layers(
            {
                "gating.expand": "cgmlp.channel_proj1.0",
                "gating.norm": "cgmlp.csgu.norm",
                "gating.depthwise": "cgmlp.csgu.conv",
                "gating.linear": "cgmlp.csgu.linear",
                "gating.contract": "cgmlp.channel_proj2",
                "mix": "depthwise_conv_fusion",
                "merge": "merge_proj",
                "norm_gating": "norm_mlp",
            }
        ),
    ),
}
_DECODER_BLOCK = (
    _projections("project", "self_attn", "qkv"),
    _projections("cross_memory", "src_attn", "kv"),
    *_feed_forward("feed_forward", "feed_forward"),
    *_layers(
        {
            "out": "self_attn.linear_out",
            "cross_query": "src_attn.linear_q",
            "cross_out": "src_attn.linear_out",
            "norm_self": "norm1",
            "norm_cross": "norm2",
            "norm_feed_forward": "norm3",
        }
    ),
)
_OUTSIDE = _layers(
    {
        **{f"stack.encoder.subsampling.convs.{n}": f"encoder.embed.conv.{2 * n}" for n in range(3)},
        "stack.encoder.subsampling.out": "encoder.embed.out",
        "stack.encoder.subsampling.project.0": "encoder.embed.0",
        "stack.encoder.subsampling.project.1": "encoder.embed.1",
        "stack.encoder.norm": "encoder.after_norm",
        "stack.normalizer": "normalize",
        "ctc.head.out": "ctc.ctc_lo",
        "ctc.feedback": "encoder.conditioning_layer",
        "decoder.embed": "decoder.embed.0",
        "decoder.norm": "decoder.after_norm",
        "decoder.out": "decoder.output_layer",
    }
)
_FORMER = (_Rule("stack.encoder.subsampling.out", ("encoder.embed.out.0",)),)
"""How ESPnet2 called layers before 2026."""
_COUNT = "stack.normalizer.count"
_COMPUTED = re.compile(r"frontend\..*|.*\.num_batches_tracked")
"""What ESPnet2 saves and ours computes: filters of the front end, a counter that nothing reads."""


def _rules(encoder: Encoder) -> tuple[_Rule, ...]:
    def inside(rules: tuple[_Rule, ...], ours: str, theirs: str) -> Iterator[_Rule]:
        for rule in rules:
            names = tuple(f"{theirs}.*.{name}" for name in rule.theirs)
            yield _Rule(f"{ours}.*.{rule.ours}", names, rule.pointwise)

    blocks = inside(_BLOCKS[encoder], "stack.encoder.blocks", "encoder.encoders")
    decoder = inside(_DECODER_BLOCK, "decoder.blocks", "decoder.decoders")
    return (*_OUTSIDE, *blocks, *decoder, *_FORMER)


def _match(pattern: str, name: str) -> tuple[str, str] | None:
    """The block's number (or nothing) and what of the name follows the pattern."""
    expression = re.escape(pattern).replace(r"\*", r"(?P<block>\d+)")
    found = re.match(rf"{expression}(?P<rest>\.(weight|bias|running_mean|running_var|mean|std)|)$", name)
    return None if found is None else (found.groupdict().get("block") or "", found["rest"])


def _translate(
    names: list[str], rules: tuple[_Rule, ...], side: int
) -> Iterator[tuple[_Rule, str, list[str]]]:
    """Rule, our name and their names, for each parameter that ``names`` (ours: side 0) hold."""
    left = dict.fromkeys(names)
    while left:
        name = next(iter(left))
        for rule in rules:
            first = rule.ours if side == 0 else rule.theirs[0]
            if found := _match(first, name):
                break
        else:
            raise UserError(
                f"no counterpart for {name}",
                hint="covered are Transformer, Conformer and E-Branchformer, with CTC or CTC/attention",
            )
        block, rest = found
        ours = rule.ours.replace("*", block) + rest
        theirs = [part.replace("*", block) + rest for part in rule.theirs]
        missing = [part for part in theirs if side == 1 and part not in left]
        if missing:
            raise UserError(f"{name} is there and {', '.join(missing)} is not")
        for part in [ours] if side == 0 else theirs:
            del left[part]
        yield rule, ours, theirs


def encoder_of(state: Mapping[str, Tensor]) -> Encoder:
    """Which encoder an ESPnet2 state dict is of."""
    names = " ".join(state)
    if ".cgmlp." in names:
        return "e_branchformer"
    return "conformer" if ".norm_mha." in names else "transformer"


def from_espnet2(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of our model from that of an ESPnet2 model.

    Args:
        state: ``espnet2.asr.espnet_model.ESPnetASRModel``'s, as in its checkpoints.

    Raises:
        UserError: It holds something that ours has no place for; it is named.
    """
    import torch

    # Joined layers are found by their first part.
    order = {"linear_q": 0, "linear_k": 1, "linear_v": 2}
    names = [name for name in state if not _COMPUTED.fullmatch(name)]
    names.sort(key=lambda name: next((place for part, place in order.items() if part in name), 0))
    found: dict[str, Tensor] = {}
    for rule, ours, theirs in _translate(names, _rules(encoder_of(state)), side=1):
        parts = [state[name] for name in theirs]
        joined = torch.cat(parts) if len(parts) > 1 else parts[0]
        found[ours] = joined.squeeze(-1) if rule.pointwise and joined.dim() == 3 else joined
    if "stack.normalizer.mean" in found:
        # How many frames the statistics are of is not kept there; ours asks only whether there are any.
        found[_COUNT] = torch.ones((), dtype=torch.int64)
    return found


def to_espnet2(state: Mapping[str, Tensor], encoder: Encoder) -> dict[str, Tensor]:
    """The inverse of :func:`from_espnet2`, less what ESPnet2 computes itself.

    Args:
        state: Of ``asr/ctc`` or ``asr/ctc_attention``.
        encoder: Which one the model has.

    Raises:
        UserError: ESPnet2 has no place for a parameter.
    """
    names = [name for name in state if name != _COUNT]
    found: dict[str, Tensor] = {}
    for rule, ours, theirs in _translate(names, _rules(encoder), side=0):
        value = state[ours].unsqueeze(-1) if rule.pointwise and state[ours].dim() == 2 else state[ours]
        found |= zip(theirs, value.chunk(len(theirs)), strict=True)
    return found
