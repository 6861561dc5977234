"""Layers whose statistics are summed over the processes of a training: ``trainer.sync_batchnorm``."""

from __future__ import annotations

from typing import Any, cast

from lightning.pytorch.plugins import TorchSyncBatchNorm
from torch import nn


class LayerSync(TorchSyncBatchNorm):
    """Lightning's conversion of torch's batch norms, and the same for layers of plugins.

    A layer of a plugin takes part by having an attribute ``synchronized`` that is False, and by summing its
    statistics over all processes while it is True: :class:`espnet3_core.protocols.SynchronizedLayer`.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Synchronise from here on."""
        _switch(model, True)
        return super().apply(model)

    def revert(self, model: nn.Module) -> nn.Module:
        """Each process for itself again."""
        _switch(model, False)
        return super().revert(model)


def _switch(model: nn.Module, value: bool) -> None:
    for module in model.modules():
        if isinstance(getattr(module, "synchronized", None), bool):
            cast(Any, module).synchronized = value
