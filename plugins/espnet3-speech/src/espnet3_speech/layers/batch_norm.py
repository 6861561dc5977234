"""Batch normalization that does not see padding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

_RECOMPUTING: ContextVar[bool] = ContextVar("recomputing", default=False)


@contextmanager
def recomputation() -> Iterator[None]:
    """Within it, running statistics stay: gradient checkpointing repeats a forward pass already counted."""
    token = _RECOMPUTING.set(True)
    try:
        yield
    finally:
        _RECOMPUTING.reset(token)


class MaskedBatchNorm(nn.Module):
    """Batch normalization over the valid frames of a batch (Ioffe and Szegedy 2015, algorithm 1).

    Padded frames take no part in the statistics, so in training, too, an utterance's result does not
    depend on how much padding its batch has. Each process of a distributed training uses its own batch,
    unless ``trainer.sync_batchnorm`` is set.

    Args:
        size: Number of channels.
        momentum: Weight of the new batch in the running statistics.
        eps: Added to the variance.

    Attributes:
        synchronized: Whether statistics are those of the batches of all processes together. Set by core;
            every process must then make the same forward passes.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, size: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.synchronized = False
        self.weight = nn.Parameter(torch.ones(size))
        self.bias = nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """Normalize each channel.

        Args:
            values: ``(batch, frames, size)``.
            valid: ``(batch, frames, 1)`` bool.

        Returns:
            ``(batch, frames, size)``; padded frames hold no meaning.
        """
        with torch.autocast(values.device.type, enabled=False):
            wide = values if values.dtype == torch.float64 else values.float()
            if not self.training:
                scale = self.weight * (self.running_var + self.eps).rsqrt()
                return torch.addcmul(self.bias - self.running_mean * scale, wide, scale).to(values.dtype)
            # Sums over valid frames are products with the mask: nothing of the size of the input is made.
            mask = valid.to(wide.dtype).flatten().unsqueeze(0)
            count, total = self._everywhere(mask.sum().unsqueeze(0), (mask @ wide.flatten(0, 1)).squeeze(0))
            count = count.clamp(min=1)
            mean = total / count
            centred = wide - mean
            (squares,) = self._everywhere((mask @ centred.square().flatten(0, 1)).squeeze(0))
            variance = squares / count
            self._track(mean, variance, count)
            scale = self.weight * (variance + self.eps).rsqrt()
            return torch.addcmul(self.bias, centred, scale).to(values.dtype)

    def _everywhere(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Vectors, or their sums over all processes; gradients go back to all of them."""
        if not self.synchronized:
            return values
        from torch.distributed.nn.functional import all_reduce

        summed: Tensor = all_reduce(torch.cat(values))
        return summed.split([len(value) for value in values])

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        if _RECOMPUTING.get():
            return
        unbiased = variance * (count / (count - 1).clamp(min=1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)
