"""Initial values of a model's parameters."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from espnet3_speech.layers.linear import FusedLinear

Scheme = Literal["default", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]


def initialize(model: nn.Module, scheme: Scheme) -> None:
    """Draw the weights of linear and convolution layers anew, in place, from torch's global generator.

    Biases become zero. Embeddings, normalization layers and parameters that belong to no layer of
    torch's own (the position biases of relative attention are matrices and follow the scheme) keep
    what their module gave them.

    Args:
        model: Any module.
        scheme: ``default`` changes nothing. Xavier: Glorot and Bengio 2010, eq. 16. Kaiming: He et al.
            2015, eq. 10, for ReLU.
    """
    if scheme == "default":
        return
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            parts = module.parts if isinstance(module, FusedLinear) else 1
            for weight in module.weight.chunk(parts, dim=0):
                _draw(weight, scheme)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        for name in getattr(module, "matrix_parameters", ()):
            _draw(getattr(module, name), scheme)


def _draw(weight: torch.Tensor, scheme: Scheme) -> None:
    match scheme:
        case "xavier_uniform":
            nn.init.xavier_uniform_(weight)
        case "xavier_normal":
            nn.init.xavier_normal_(weight)
        case "kaiming_uniform":
            nn.init.kaiming_uniform_(weight, nonlinearity="relu")
        case "kaiming_normal":
            nn.init.kaiming_normal_(weight, nonlinearity="relu")
        case _:
            raise ValueError(f"unknown initialization {scheme!r}")
