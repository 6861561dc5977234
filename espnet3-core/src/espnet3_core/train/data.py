"""The data of a training as Lightning asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningDataModule

from espnet3_core.train.position import Position

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


class TrainingData(LightningDataModule):
    """Training and validation data of a recipe.

    Datasets are read at once, so that broken manifests stop the stage before anything else is built; the
    loaders are made in each training process, which by then knows its rank.

    Args:
        context: Of the stage.
        position: Where training goes on; None from the beginning.
    """

    def __init__(self, context: StageContext, position: Position | None = None) -> None:
        super().__init__()
        self.tokenizer = context.build_tokenizer()
        self._context = context
        self._config = context.config("training")
        self._position = position or Position()
        datasets = self._config.dataset
        self.train_set = context.build_dataset(datasets.train)
        self.valid_set = None if datasets.valid is None else context.build_dataset(datasets.valid)

    def train_dataloader(self) -> Any:
        """Batches of the running epoch, from where training goes on."""
        return self._loader(self.train_set, training=True)

    def val_dataloader(self) -> Any:
        """Batches of validation, in a fixed order; nothing without a validation set."""
        return [] if self.valid_set is None else self._loader(self.valid_set, training=False)

    def _loader(self, dataset: Any, *, training: bool) -> Any:
        from espnet3_core.data.loader import build_loader

        assert self.trainer is not None
        return build_loader(dataset, training=training, position=self._position)
