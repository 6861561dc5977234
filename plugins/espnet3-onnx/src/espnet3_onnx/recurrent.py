"""Recurrent layers as the operators that ONNX has for them: torch would take them apart, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_ORDER = {"GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}
"""Which of torch's gates (reset, update, new; input, forget, cell, output) stands at each place of ONNX's."""


class Operator(nn.Module):
    """Stands for an ``nn.GRU`` or ``nn.LSTM`` of one layer and one direction while a graph is made."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer
        self.kind = layer.mode

    def __getattr__(self, name: str) -> Any:
        """The layer's own attributes, its weights among them."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("layer"), name)

    def _gates(self, name: str) -> Tensor:
        parts = getattr(self.layer, name).chunk(len(_ORDER[self.kind]))
        return torch.cat([parts[number] for number in _ORDER[self.kind]])

    def forward(self, values: Tensor) -> tuple[Tensor, None]:
        """``(batch, frames, inputs)`` to ``(batch, frames, hidden)``."""
        bias = torch.cat([self._gates("bias_ih_l0"), self._gates("bias_hh_l0")])
        weights = [self._gates("weight_ih_l0"), self._gates("weight_hh_l0"), bias]
        size = self.layer.hidden_size
        attributes: dict[str, Any] = {"hidden_size": size}
        if self.kind == "GRU":
            attributes["linear_before_reset"] = 1
        output = torch.onnx.ops.symbolic(
            self.kind,
            [values.transpose(0, 1), *(weight[None] for weight in weights)],
            attributes,
            dtype=values.dtype,
            shape=(values.shape[1], 1, values.shape[0], size),
        )
        return output.squeeze(1).transpose(0, 1), None


@contextmanager
def operators(module: nn.Module) -> Iterator[None]:
    """Within it, recurrent layers that ONNX has an operator for are that operator."""
    found = [
        (parent, name, layer)
        for parent in module.modules()
        for name, layer in parent.named_children()
        if isinstance(layer, nn.GRU | nn.LSTM) and _plain(layer)
    ]
    try:
        for parent, name, layer in found:
            setattr(parent, name, Operator(layer))
        yield
    finally:
        for parent, name, layer in found:
            setattr(parent, name, layer)


def _plain(layer: nn.RNNBase) -> bool:
    return (
        layer.num_layers == 1
        and not layer.bidirectional
        and layer.batch_first
        and layer.bias
        and layer.proj_size == 0
    )
