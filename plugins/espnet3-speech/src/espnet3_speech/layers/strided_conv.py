"""Convolutions and ReLUs of the input layers, in the memory order and in pieces that suit the CPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.layers.linear import gradient_of_weight, is_plain, product

_POSITIONS = 2048
"""Positions of the last layer's output, of all utterances together, that are computed at once."""


def conv_relus(layers: Sequence[nn.Module], values: Tensor) -> Tensor:
    """``relu(layer(values))`` for one layer after another, which are convolutions without padding.

    Args:
        layers: ``nn.Conv2d`` or ``nn.Conv1d``.
        values: ``(batch, channels, frames, features)``, or ``(batch, channels, frames)``.

    Returns:
        What torch's functions give, up to rounding; after two-dimensional convolutions of float32 on the CPU
        in channels-last order.
    """
    if not _suits(layers, values):
        for layer in layers:
            values = functional.relu(layer(values), inplace=True)
        return values
    strides = tuple(layer.stride for layer in layers)
    parameters = [parameter for layer in layers for parameter in (layer.weight, layer.bias)]
    output: Tensor = _ConvReLUs.apply(values.permute(0, 2, 3, 1), strides, *parameters)
    return output.permute(0, 3, 1, 2)


def _suits(layers: Sequence[nn.Module], values: Tensor) -> bool:
    """Whether this is where the other order wins."""
    weights = [layer.weight for layer in layers if isinstance(layer, nn.Conv2d)]
    return len(weights) == len(layers) and is_plain(values, *weights)


class _Layer:
    """A convolution and a ReLU.

    Args:
        weight: ``(outputs, channels, height, width)``.
        bias: ``(outputs,)``.
        stride: Steps in both directions.

    Attributes:
        matrix: The weight as ``(outputs, height * width * channels)``, in the order of :meth:`patches`.
    """

    def __init__(self, weight: Tensor, bias: Tensor, stride: tuple[int, int]) -> None:
        self.weight = weight.contiguous(memory_format=torch.channels_last)
        self.matrix = self.weight.permute(0, 2, 3, 1).flatten(1)
        self.bias = bias
        self.stride = stride

    def __call__(self, values: Tensor) -> Tensor:
        if self.weight.shape[1] == 1:  # a product with a narrow matrix
            return product(self.patches(values).flatten(3), self.matrix, self.bias).relu_()
        output = functional.conv2d(values.permute(0, 3, 1, 2), self.weight, self.bias, self.stride)
        return output.permute(0, 2, 3, 1).relu_()

    def patches(self, values: Tensor) -> Tensor:
        """What each output sees: ``(batch, frames, features, height, width, channels)``, a view."""
        (height, width), (down, right) = self.weight.shape[2:], self.stride
        return values.unfold(1, height, down).unfold(2, width, right).permute(0, 1, 2, 4, 5, 3)

    def spread(self, grad: Tensor, shape: torch.Size) -> Tensor:
        """Gradient of the input, which has this shape, from that of the convolution."""
        columns = product(grad, self.matrix.t()).unflatten(-1, (*self.weight.shape[2:], -1))
        total = grad.new_zeros(shape)
        patches = self.patches(total)
        for row in range(columns.shape[3]):
            for column in range(columns.shape[4]):
                patches[:, :, :, row, column] += columns[:, :, :, row, column]
        return total


class _ConvReLUs(torch.autograd.Function):
    """A few output frames at a time go through all layers, and back.

    So what lies between two layers stays in the processor's cache. It is many times the input: writing it to
    memory and reading it takes longer than computing it again for the backward pass. Values are
    ``(batch, frames, features, channels)``.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, strides: Sequence[tuple[int, int]], *parameters: Tensor) -> Tensor:
        layers = _layers(parameters, strides)
        size = values.shape[1:3]
        for layer in layers:
            triples = zip(size, layer.weight.shape[2:], layer.stride, strict=True)
            size = torch.Size((whole - kernel) // step + 1 for whole, kernel, step in triples)
        output = values.new_empty(len(values), *size, len(layers[-1].bias))
        for seen, made in _pieces(output, layers):
            piece = values[:, seen]
            for layer in layers:
                piece = layer(piece)
            output[:, made] = piece
        ctx.save_for_backward(values, output, *parameters)
        ctx.strides = strides
        return output

    @staticmethod
    @torch.autograd.function.once_differentiable  # type: ignore[misc]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, output, *parameters = ctx.saved_tensors
        layers = _layers(parameters, ctx.strides)
        of_values = torch.zeros_like(values) if ctx.needs_input_grad[0] else None
        of_weights = [torch.zeros_like(layer.matrix) for layer in layers]
        of_biases = [torch.zeros_like(layer.bias) for layer in layers]
        for seen, made in _pieces(output, layers):
            inputs = [values[:, seen]]
            for layer in layers[:-1]:
                inputs.append(layer(inputs[-1]))
            toward, outputs = grad[:, made], [*inputs[1:], output[:, made]]
            for number in reversed(range(len(layers))):
                toward = torch.ops.aten.threshold_backward(toward, outputs[number], 0)
                layer, rows = layers[number], toward.flatten(0, 2)
                of_weights[number] += gradient_of_weight(
                    rows, layer.patches(inputs[number]).flatten(3).flatten(0, 2)
                )
                of_biases[number] += rows.sum(0)
                if number or of_values is not None:
                    toward = layer.spread(toward, inputs[number].shape)
            if of_values is not None:
                of_values[:, seen] += toward
        shaped = (
            total.unflatten(1, (*layer.weight.shape[2:], -1)).permute(0, 3, 1, 2).contiguous()
            for total, layer in zip(of_weights, layers, strict=True)
        )
        both = zip(shaped, of_biases, strict=True)
        return of_values, None, *(gradient for pair in both for gradient in pair)


def _layers(parameters: Sequence[Tensor], strides: Sequence[tuple[int, int]]) -> list[_Layer]:
    return [_Layer(*parts) for parts in zip(parameters[::2], parameters[1::2], strides, strict=True)]


def _pieces(output: Tensor, layers: Sequence[_Layer]) -> Iterator[tuple[slice, slice]]:
    """Consecutive frames of the output, each after the input frames that they come from."""
    frames = max(1, _POSITIONS // max(1, output.shape[0] * output.shape[2]))
    for start in range(0, output.shape[1], frames):
        stop = min(start + frames, output.shape[1])
        first, last = start, stop - 1
        for layer in reversed(layers):
            first, last = first * layer.stride[0], last * layer.stride[0] + layer.weight.shape[2] - 1
        yield slice(first, last + 1), slice(start, stop)
