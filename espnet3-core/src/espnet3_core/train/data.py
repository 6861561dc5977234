"""The data of a training as Lightning asks for it."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningDataModule

from espnet3_core.config.roles import BatchConfig, TrainingConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import Loader, build_loader
from espnet3_core.train.datasets import bad_data, prepared
from espnet3_core.train.outputs import padding
from espnet3_core.train.resume import Resume
from espnet3_core.train.shield import shielded

if TYPE_CHECKING:
    from espnet3_core.recipe.context import StageContext


def plan_facts(dataset: PreparedDataset, config: TrainingConfig) -> dict[str, Any]:
    """What the plan of batches is a function of, beside the epoch and the number of processes.

    Returns:
        ``data``, a digest of the training set, and ``batch``, the values that its batches are made by.
    """
    fingerprint = getattr(dataset.dataset, "fingerprint", None)
    data = fingerprint() if callable(fingerprint) else digest_of_ids(dataset)
    # While `auto` has found nothing yet, `seconds` is not the limit that batches will have.
    left_out = [
        "workers",
        "threads",
        "pin_memory",
        "auto",
        "memory",
        *(["seconds"] if config.batch.auto else []),
    ]
    rule = {key: value for key, value in asdict(config.batch).items() if key not in left_out}
    bounds = {"min_seconds": config.dataset.min_seconds, "max_seconds": config.dataset.max_seconds}
    accumulate = config.trainer.get("accumulate_grad_batches", 1)
    return {
        "data": data,
        "batch": {"seed": config.seed, **rule, **bounds, "accumulate_grad_batches": accumulate},
    }


def digest_of_ids(dataset: PreparedDataset) -> str:
    """Digest of what is known of a training set without loading it."""
    lengths = dataset.lengths()
    known = hashlib.sha256("\0".join(dataset.ids()).encode())
    known.update(b"" if lengths is None else lengths.tobytes())
    return known.hexdigest()


class TrainingData(LightningDataModule):
    """Training and validation data of a recipe.

    Datasets are read at once, so that broken manifests stop the stage before anything else is built; the
    loaders are made in each training process, which by then knows its rank.

    Args:
        context: Of the stage.
        resume: Where training goes on; None from the beginning.

    Attributes:
        batch: Limits of the batches; :meth:`limit` sets those that were found by trying.
        plan: What the batches follow from, beside epoch and number of processes; kept in checkpoints.
        resume: The same, now that its batches are known to be these, or may be others.

    Raises:
        ResumeRefused: They are others, and ``training.resume`` does not allow it.
    """

    def __init__(self, context: StageContext, resume: Resume | None = None) -> None:
        super().__init__()
        self.tokenizer = context.build_tokenizer()
        self._config = config = context.config("training")
        self.collator = config.collator.build(**context.needs())
        self.train_set = prepared(context, config.dataset.train, self.tokenizer, training=True)
        valid = config.dataset.valid
        self.valid_set = None if valid is None else prepared(context, valid, self.tokenizer, training=False)
        self._begun = self.resume = resume
        self.limit(config.batch)
        sets = {"train": self.train_set, "valid": self.valid_set}
        self._bad = {
            split: bad_data(context, split, found, anew=resume is None)
            for split, found in sets.items()
            if found is not None
        }

    def limit(self, batch: BatchConfig) -> None:
        """Make batches within these limits, before there are loaders.

        Raises:
            ResumeRefused: They are other than they were, and ``training.resume`` does not allow it.
        """
        self.batch = batch
        self.plan = plan_facts(self.train_set, replace(self._config, batch=batch))
        if self._begun is not None:
            self.resume = self._begun.checked(self.plan, self._config.resume)

    def train_dataloader(self) -> Loader:
        """Batches of the running epoch, from where training goes on."""
        bounds = {
            "min_seconds": self._config.dataset.min_seconds,
            "max_seconds": self._config.dataset.max_seconds,
        }
        loader = self._loader(self.train_set, self.batch, bad=self._bad["train"], **bounds)
        if self.resume is not None:
            trainer: Any = self.trainer
            start = self.resume.start(trainer.world_size)
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
        batch = replace(self.batch, uneven="split")
        return self._loader(self.valid_set, batch, bad=self._bad["valid"], shuffle=False, **alone)

    def _loader(self, dataset: PreparedDataset, batch: BatchConfig, **options: Any) -> Loader:
        trainer: Any = self.trainer
        common = {
            "collator": self.collator,
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
