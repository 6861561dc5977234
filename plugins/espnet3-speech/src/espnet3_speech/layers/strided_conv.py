"""Convolution and ReLU of the input layers, with the memory orders that oneDNN is fastest with on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv_relu(layer: nn.Module, values: Tensor) -> Tensor:
    """``relu(layer(values))`` for a convolution without padding.

    Args:
        layer: ``nn.Conv2d`` or ``nn.Conv1d``.
        values: ``(batch, channels, frames, features)``, or ``(batch, channels, frames)``.

    Returns:
        The same as the two functions would, up to rounding; after a two-dimensional convolution of float32 on
        the CPU in channels-last order.
    """
    if not isinstance(layer, nn.Conv2d) or not _suits(values):
        return functional.relu(layer(values), inplace=True)
    return _ConvReLU.apply(values, layer.weight, layer.bias, layer.stride)  # type: ignore[no-any-return]


def _suits(values: Tensor) -> bool:
    """Whether this is where the other order wins: float32 on the CPU, and nobody casts or traces it."""
    return (
        values.device.type == "cpu"
        and values.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _patches(values: Tensor, kernel: torch.Size, stride: tuple[int, int]) -> Tensor:
    """``(batch, 1, frames, features)`` to ``(places, kernel elements)``."""
    windows = values.squeeze(1).unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1])
    return windows.reshape(-1, kernel[0] * kernel[1])


class _ConvReLU(torch.autograd.Function):
    """Channels-last in the forward pass and for the input's gradient, plain order for that of the weights.

    A single input channel makes the convolution a product with a narrow matrix of patches.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int]) -> Tensor:
        if weight.shape[1] == 1:
            kernel = weight.shape[2:]
            frames, features = ((values.shape[2 + i] - kernel[i]) // stride[i] + 1 for i in range(2))
            flat = torch.addmm(bias, _patches(values, kernel, stride), weight.flatten(1).t())
            output = flat.view(len(values), frames, features, -1).permute(0, 3, 1, 2)
        else:
            values = values.contiguous(memory_format=torch.channels_last)
            output = functional.conv2d(
                values, weight.contiguous(memory_format=torch.channels_last), bias, stride
            )
        output.relu_()
        ctx.save_for_backward(values, weight, output)
        ctx.stride = stride
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        values, weight, output = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        grad = torch.ops.aten.threshold_backward(grad, output, 0)
        of_values = None
        if ctx.needs_input_grad[0]:
            last = weight.contiguous(memory_format=torch.channels_last)
            of_values = _gradient(ctx, grad, values, last, [True, False, False])[0]
        if weight.shape[1] == 1:
            flat = grad.permute(0, 2, 3, 1).flatten(0, 2)
            # The narrow matrix goes first: MKL takes ten times as long the other way round.
            of_weight = _patches(values, weight.shape[2:], ctx.stride).t() @ flat
            return of_values, of_weight.t().reshape(weight.shape), flat.sum(0), None
        plain = weight.contiguous(), [False, True, True]
        _, of_weight, of_bias = _gradient(ctx, grad.contiguous(), values.contiguous(), *plain)
        return of_values, of_weight, of_bias, None


def _gradient(ctx: Any, grad: Tensor, values: Tensor, weight: Tensor, wanted: list[bool]) -> Any:
    size, none = [weight.shape[0]], [0, 0]
    return torch.ops.aten.convolution_backward(
        grad, values, weight, size, list(ctx.stride), none, [1, 1], False, none, 1, wanted
    )
