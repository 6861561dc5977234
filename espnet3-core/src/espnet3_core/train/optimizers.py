"""Optimizers by name: torch's, with the implementation that suits where the parameters live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch.optim import SGD, Adam, AdamW, Optimizer

from espnet3_core.train.config import AdamConfig, AdamWConfig, SGDConfig

Groups = Sequence[dict[str, Any]]
"""Parameter groups as torch takes them: ``params`` and the options in which a group differs."""


def adamw(config: AdamWConfig, *, parameters: Groups) -> Optimizer:
    """AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2)."""
    return AdamW(
        list(parameters),
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=_fused(config.fused, parameters),
    )


def adam(config: AdamConfig, *, parameters: Groups) -> Optimizer:
    """Adam (Kingma and Ba, 2015, algorithm 1)."""
    return Adam(
        list(parameters),
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        eps=config.eps,
        weight_decay=config.weight_decay,
        fused=_fused(config.fused, parameters),
    )


def sgd(config: SGDConfig, *, parameters: Groups) -> Optimizer:
    """Stochastic gradient descent, with momentum (Sutskever et al., 2013) when it is not zero."""
    return SGD(
        list(parameters),
        lr=config.lr,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        fused=_fused(config.fused, parameters),
    )


def _fused(wanted: bool | None, groups: Groups) -> bool | None:
    """Fused on the CPU, where torch's default is a Python loop; torch's own choice elsewhere.

    On CUDA the fused kernels unscale fp16 gradients themselves, which rules out clipping, so they
    are left to those who ask for them.
    """
    if wanted is not None:
        return wanted
    plain = all(
        tensor.device.type == "cpu" and tensor.dtype in (torch.float32, torch.float64)
        for tensor in _tensors(groups)
    )
    return True if plain else None


def _tensors(groups: Groups) -> Iterable[torch.Tensor]:
    return (tensor for group in groups for tensor in group["params"])
