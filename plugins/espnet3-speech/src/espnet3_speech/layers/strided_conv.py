"""Convolution and ReLU of the input layers, with the memory orders that oneDNN is fastest with on the CPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_ROWS = 4096
"""Patches that are multiplied at once."""


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
    """``(batch, frames, features, channels)`` to ``(batch, frames, features, *kernel, channels)``, a view."""
    windows = values.unfold(1, kernel[0], stride[0]).unfold(2, kernel[1], stride[1])
    return windows.permute(0, 1, 2, 4, 5, 3)


def _with_ones(patches: Tensor) -> Tensor:
    """Patches as rows, and a one at the end of each, which is what the bias is multiplied with."""
    return functional.pad(patches.flatten(3).flatten(0, 2), (0, 1), value=1.0)


class _ConvReLU(torch.autograd.Function):
    """Channels-last order throughout; the gradient of the weights is a product of patches and gradients.

    A single input channel makes the convolution itself a product with a narrow matrix of patches.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int]) -> Tensor:
        if weight.shape[1] == 1:
            patches = _patches(values.permute(0, 2, 3, 1), weight.shape[2:], stride)
            matrix = torch.cat([weight.flatten(1), bias.unsqueeze(1)], dim=1)
            output = (_with_ones(patches) @ matrix.t()).unflatten(0, patches.shape[:3]).permute(0, 3, 1, 2)
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
            of_values = _gradient_of_values(ctx.stride, grad, values, weight)
        patches = _patches(values.permute(0, 2, 3, 1), weight.shape[2:], ctx.stride)
        if weight.shape[1] == 1:
            # The narrow matrix goes first: MKL takes ten times as long the other way round.
            both = (_with_ones(patches).t() @ grad.permute(0, 2, 3, 1).flatten(0, 2)).t()
            return of_values, both[:, :-1].reshape(weight.shape), both[:, -1], None
        return of_values, _gradient_of_weight(grad.permute(0, 2, 3, 1), patches), grad.sum((0, 2, 3)), None


def _gradient_of_values(stride: tuple[int, int], grad: Tensor, values: Tensor, weight: Tensor) -> Tensor:
    last, size = weight.contiguous(memory_format=torch.channels_last), [weight.shape[0]]
    found = torch.ops.aten.convolution_backward(
        grad, values, last, size, list(stride), [0, 0], [1, 1], False, [0, 0], 1, [True, False, False]
    )
    return found[0]  # type: ignore[no-any-return]


def _gradient_of_weight(grad: Tensor, patches: Tensor) -> Tensor:
    """Products of some frames at a time, so that their patches are read from a cache.

    Args:
        grad: ``(batch, frames, features, outputs)``.
        patches: ``(batch, frames, features, height, width, channels)``.
    """
    height, width, channels = patches.shape[3:]
    result = grad.new_zeros(height, width * channels, grad.shape[3])
    frames = max(1, _ROWS // (grad.shape[0] * grad.shape[2]))
    for some, others in zip(grad.split(frames, dim=1), patches.split(frames, dim=1), strict=True):
        columns = some.reshape(-1, grad.shape[3])
        for line, total in zip(others.unbind(3), result, strict=True):
            total.addmm_(line.reshape(-1, width * channels).t(), columns)
    return result.unflatten(1, (width, channels)).permute(3, 2, 0, 1).contiguous()
