"""The callback that makes randomness a function of the position, and tells datasets the epoch."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from espnet3_core.train.position import go_to
from espnet3_core.train.randomness import seed_everything
from espnet3_core.train.resume import Resume


class Determinism(Callback):
    """Comes first: what other callbacks and the model draw in a batch depends on nothing before it.

    Args:
        seed: ``training.seed``.
        resume: Where training goes on; None from the beginning.
    """

    def __init__(self, seed: int, resume: Resume | None = None) -> None:
        self.seed = seed
        self.resume = resume

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go to the position, before loaders are asked for batches."""
        if self.resume is not None:
            position = self.resume.start(trainer.world_size)
            go_to(trainer, position)
            if position == self.resume.position:
                module: Any = pl_module
                module.load_means(self.resume.state["means"], trainer.global_rank, trainer.world_size)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell the loader its epoch, and seed what happens before the first batch."""
        epoch = trainer.fit_loop.epoch_progress.current.completed
        seed_everything(self.seed, "epoch", epoch, trainer.global_rank)
        position = self.resume.start(trainer.world_size) if self.resume is not None else None
        start = position.batch if position is not None and position.epoch == epoch else 0
        loader: Any = trainer.train_dataloader
        if hasattr(loader, "set_epoch"):
            loader.set_epoch(epoch, start)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed a micro-batch."""
        epoch = trainer.fit_loop.epoch_progress.current.completed
        seed_everything(self.seed, "train", epoch, batch_idx, trainer.global_rank)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Seed a validation batch; equal in every epoch."""
        seed_everything(self.seed, "valid", batch_idx, trainer.global_rank)
