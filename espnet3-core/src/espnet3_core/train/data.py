"""The data of a training as Lightning asks for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningDataModule

from espnet3_core.config.roles import BatchConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import Loader, build_loader
from espnet3_core.train.datasets import prepared
from espnet3_core.train.outputs import padding
from espnet3_core.train.resume import Resume
from espnet3_core.train.shield import shielded

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


class TrainingData(LightningDataModule):
    """Training and validation data of a recipe.

    Datasets are read at once, so that broken manifests stop the stage before anything else is built; the
    loaders are made in each training process, which by then knows its rank.

    Args:
        context: Of the stage.
        resume: Where training goes on; None from the beginning.
    """

    def __init__(self, context: StageContext, resume: Resume | None = None) -> None:
        super().__init__()
        self.tokenizer = context.build_tokenizer()
        self._config = config = context.config("training")
        self._collator = config.collator.build(**context.needs())
        self._resume = resume
        self.train_set = prepared(context, config.dataset.train, self.tokenizer, training=True)
        valid = config.dataset.valid
        self.valid_set = None if valid is None else prepared(context, valid, self.tokenizer, training=False)

    def train_dataloader(self) -> Loader:
        """Batches of the running epoch, from where training goes on."""
        bounds = {
            "min_seconds": self._config.dataset.min_seconds,
            "max_seconds": self._config.dataset.max_seconds,
        }
        loader = self._loader(self.train_set, self._config.batch, **bounds)
        if self._resume is not None:
            trainer: Any = self.trainer
            start = self._resume.start(trainer.world_size)
            loader.set_epoch(start.epoch, start.batch)
        return loader

    def val_dataloader(self) -> Loader | list[Any]:
        """Batches of validation, in a fixed order; nothing without a validation set.

        No utterance is left out. A set that is too small to be shared out is seen by every rank, which leaves
        its means as they are.
        """
        if self.valid_set is None:
            return []
        trainer: Any = self.trainer
        alone = {"rank": 0, "world_size": 1} if len(self.valid_set) < trainer.world_size else {}
        batch = replace(self._config.batch, uneven="split")
        return self._loader(self.valid_set, batch, shuffle=False, **alone)

    def _loader(self, dataset: PreparedDataset, batch: BatchConfig, **options: Any) -> Loader:
        trainer: Any = self.trainer
        common = {
            "collator": self._collator,
            "seed": self._config.seed,
            "rank": trainer.global_rank,
            "world_size": trainer.world_size,
            "sample_rate": self._config.dataset.sample_rate,
            "pin_memory": trainer.strategy.root_device.type == "cuda",
        }
        loader: Loader = shielded(build_loader(dataset, batch, **{**common, **options}))
        return loader

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Look at a batch while its lengths can be read without waiting for the device."""
        trainer: Any = self.trainer
        trainer.lightning_module.batch_padding = padding(batch)
        return batch
