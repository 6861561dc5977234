"""Exponential moving average of the weights."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from espnet3_core.train.config import EMAConfig


class EMA(Callback):
    """Keeps averaged weights beside the trained ones (Polyak and Juditsky, 1992).

    Validation runs with the averaged weights, and they are what is selected, averaged and saved for
    inference, so that the selected values belong to the saved weights. ``last.ckpt`` holds both. Buffers
    (running statistics) are not averaged.
    """

    def __init__(self, config: EMAConfig) -> None:
        self.config = config
        self._averaged: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] | None = None
        self._updates = 0
        self._seen_step = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start from the weights as they are."""
        if not self._averaged:
            self._averaged = {name: value.detach().clone() for name, value in _trainable(pl_module).items()}
        self._averaged = {name: value.to(pl_module.device) for name, value in self._averaged.items()}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count steps from here."""
        self._seen_step = trainer.global_step

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update after an optimizer step."""
        if trainer.global_step == self._seen_step or trainer.global_step % self.config.every_steps:
            return
        self._seen_step = trainer.global_step
        if getattr(pl_module, "left_out", False):
            return
        self._updates += 1
        decay = min(self.config.decay, (1 + self._updates) / (10 + self._updates))
        current = _trainable(pl_module)
        torch._foreach_lerp_(
            list(self._averaged.values()), [current[name] for name in self._averaged], 1 - decay
        )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the averaged weights in."""
        if trainer.sanity_checking:
            return
        current = _trainable(pl_module)
        self._trained = {name: current[name].detach().clone() for name in self._averaged}
        _copy(self._averaged, current)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put the trained weights back."""
        self._restore(pl_module)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Put the trained weights back."""
        self._restore(pl_module)

    def _restore(self, pl_module: LightningModule) -> None:
        if self._trained is not None:
            _copy(self._trained, _trainable(pl_module))
            self._trained = None

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """A checkpoint taken inside a validation must hold the trained weights."""
        for name, value in (self._trained or {}).items():
            checkpoint["state_dict"][f"model.{name}"] = value

    def averaged_weights(self) -> dict[str, Tensor]:
        """The averaged weights by the model's own names."""
        return dict(self._averaged)

    def state_dict(self) -> dict[str, Any]:
        """Saved with ``last.ckpt``."""
        return {"averaged": self._averaged, "updates": self._updates}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from :meth:`state_dict`."""
        self._averaged = dict(state_dict["averaged"])
        self._updates = state_dict["updates"]


def _trainable(pl_module: LightningModule) -> dict[str, nn.Parameter]:
    model: Any = pl_module.model
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


@torch.no_grad()
def _copy(source: dict[str, Tensor], target: dict[str, nn.Parameter]) -> None:
    for name, value in source.items():
        target[name].copy_(value)
