"""HiFi-GAN generators as their authors publish them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from espnet3_core.errors import UserError
from torch import Tensor

from espnet3_tts.models.hifigan.generator import Generator

_PARTS = {"conv_pre": "first", "conv_post": "last"}
_NORMED = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}


def load_published(generator: Generator, path: Path) -> None:
    """Load the weights of a generator from a file ``{"generator": state}`` or a bare state.

    Args:
        generator: Of the same sizes; both with weight norm in the file and with it removed.
        path: File written by ``torch.save``; it is read without running code.

    Raises:
        UserError: The file cannot be read, or is of a generator of other sizes.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path}: cannot be read: {error}", hint="give a generator's checkpoint") from None
    state = found.get("generator", found) if isinstance(found, Mapping) else {}
    if "conv_pre.bias" not in state:
        raise UserError(f"{path}: holds no HiFi-GAN generator", hint="its weights begin with conv_pre.bias")
    renamed = published_to_ours(state, len(generator.config.kernels))
    if not any("parametrizations" in name for name in renamed):
        generator.plain()
    try:
        generator.load_state_dict(renamed)
    except RuntimeError as error:
        raise UserError(
            f"{path}: is of a generator of other sizes: {str(error).splitlines()[-1].strip()}",
            hint="give its sizes in `generator`: channels, upsampling, kernels, dilations, block",
        ) from None


def published_to_ours(state: Mapping[str, Tensor], side_by_side: int) -> dict[str, Tensor]:
    """Weights by our names.

    Args:
        state: ``conv_pre``, ``ups.N``, ``resblocks.N.convs1.M`` and ``convs2.M``, ``conv_post``.
        side_by_side: Residual blocks after each upsampling: the published ones are numbered through.
    """
    return {_renamed(name, side_by_side): value for name, value in state.items()}


def _renamed(name: str, side_by_side: int) -> str:
    head, _, leaf = name.rpartition(".")
    leaf = _NORMED.get(leaf, leaf)
    if head in _PARTS:
        return f"{_PARTS[head]}.{leaf}"
    if match := re.fullmatch(r"ups\.(\d+)", head):
        return f"upsampling.{match[1]}.{leaf}"
    if match := re.fullmatch(r"resblocks\.(\d+)\.convs(1|2|)\.(\d+)", head):
        level, block = divmod(int(match[1]), side_by_side)
        part = "plain" if match[2] == "2" else "dilated"
        return f"blocks.{level}.{block}.{part}.{match[3]}.{leaf}"
    return name
