"""Linear layers: by oneDNN where it is faster, and several projections of one input at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_FEW_ROWS = 64
"""With fewer rows, preparing a product by oneDNN takes longer than it saves."""


def is_plain(*tensors: Tensor) -> bool:
    """Whether all are float32 on the CPU, and nobody casts them, or traces shapes, which hides them."""
    if torch.compiler.is_compiling() or torch.jit.is_tracing() or torch.is_autocast_enabled("cpu"):
        return False
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def by_onednn(rows: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN takes the product."""
    return (
        is_plain(rows, weight)
        and rows.numel() >= _FEW_ROWS * rows.shape[-1] > 0
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def product(rows: Tensor, columns: Tensor, bias: Tensor | None = None) -> Tensor:
    """``rows @ columns.T + bias`` without a graph, for what :func:`linear` differentiates itself.

    MKL, which torch asks by itself, takes a tenth longer (measured on AMD Zen 4), and copies the bias over
    the output first.

    Args:
        rows: ``(…, inner)``.
        columns: ``(outputs, inner)``.
        bias: ``(outputs,)``.
    """
    if torch.is_grad_enabled() or not by_onednn(rows, columns):
        return functional.linear(rows, columns, bias)
    found: Tensor = torch.ops.mkldnn._linear_pointwise(_dense(rows), _dense(columns), bias, "none", [], "")
    return found


def _dense(matrix: Tensor) -> Tensor:
    """A copy of what has gaps between its lines: oneDNN takes a thousand times as long for such."""
    return matrix if matrix.is_contiguous() or matrix.mT.is_contiguous() else matrix.contiguous()


def linear(values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``torch.nn.functional.linear``, up to rounding.

    Args:
        values: ``(…, inputs)``.
        weight: ``(outputs, inputs)``.
        bias: ``(outputs,)``.
    """
    if not by_onednn(values, weight):
        return functional.linear(values, weight, bias)
    return _Linear.apply(values, weight, bias)  # type: ignore[no-any-return]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(values if ctx.needs_input_grad[1] else None, weight)
        return product(values, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        values, weight = ctx.saved_tensors
        of_values, of_weight, of_bias = ctx.needs_input_grad
        rows = grad.flatten(0, -2)
        return (
            product(grad, weight.t()) if of_values else None,
            gradient_of_weight(rows, values.flatten(0, -2)) if of_weight else None,
            rows.sum(0) if of_bias else None,
        )


def gradient_of_weight(grad: Tensor, values: Tensor) -> Tensor:
    """``grad.T @ values`` for ``(rows, outputs)`` and ``(rows, inputs)``: ``(outputs, inputs)``."""
    if grad.shape[1] > values.shape[1]:  # oneDNN wants the wider one second
        return product(values.t(), grad.t()).t()
    return product(grad.t(), values.t())


class Linear(nn.Linear):
    """``torch.nn.Linear`` by :func:`linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """``(…, in_features)`` to ``(…, out_features)``."""
        return linear(input, self.weight, self.bias)


class FusedLinear(Linear):
    """``parts`` linear layers of equal size over one input, as one matrix product.

    Outputs are concatenated. Initialization treats the parts as the separate layers that they are.
    """

    def __init__(self, in_features: int, part_features: int, parts: int, bias: bool = True) -> None:
        self.parts = parts
        super().__init__(in_features, parts * part_features, bias)
