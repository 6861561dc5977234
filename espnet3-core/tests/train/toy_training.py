"""A small training to test with: a dataset, a model with dropout, the context of a stage."""

from __future__ import annotations

import json
import logging
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig, DatasetsConfig, TrainingConfig
from espnet3_core.data.dataset import PreparedDataset
from espnet3_core.data.loader import build_loader
from espnet3_core.train import stage
from espnet3_core.train.data import plan_facts
from espnet3_core.train.resume import Resume, find_resume, is_finished
from espnet3_core.train.shield import shielded
from lightning.pytorch import Callback, LightningDataModule
from torch import Tensor, nn
from torch.utils.data import Dataset


class ToyDataset(Dataset[dict[str, Any]]):
    def __init__(self, count: int = 24) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(count, 6, generator=generator)
        self.targets = self.inputs.sum(dim=1, keepdim=True)

    def __len__(self) -> int:
        return len(self.inputs)

    def ids(self) -> list[str]:
        return [f"utt{index:03d}" for index in range(len(self))]

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": f"utt{index:03d}", "inputs": self.inputs[index], "targets": self.targets[index]}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ids": [item["id"] for item in items],
        "inputs": torch.stack([item["inputs"] for item in items]),
        "targets": torch.stack([item["targets"] for item in items]),
    }


def noise(item: dict[str, Any], rng: Any) -> dict[str, Any]:
    """Augmentation."""
    return {**item, "inputs": item["inputs"] + 0.1 * torch.from_numpy(rng.standard_normal(6)).float()}


class ToyData(LightningDataModule):
    """Random batches through core's own loader, resumed as a recipe's data are."""

    def __init__(
        self,
        config: TrainingConfig,
        resume: Resume | None = None,
        size: int = 4,
        workers: int = 0,
        count: int = 24,
        augment: bool = False,
    ) -> None:
        super().__init__()
        self.batch = BatchConfig(size=size, workers=workers, scope=config.batch.scope)
        self.items = PreparedDataset(
            ToyDataset(count), training=True, seed=config.seed, transforms=[noise] if augment else []
        )
        self.plan = plan_facts(self.items, replace(config, batch=self.batch))
        self.resume = None if resume is None else resume.checked(self.plan, config.resume)

    def train_dataloader(self) -> Any:
        trainer: Any = self.trainer
        loader = build_loader(
            self.items,
            self.batch,
            collator=collate,
            seed=5,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )
        if self.resume is not None:
            start = self.resume.start(trainer.world_size)
            loader.set_epoch(start.epoch, start.batch)
        return shielded(loader)

    def val_dataloader(self) -> Any:
        trainer: Any = self.trainer
        items = PreparedDataset(ToyDataset(10))
        return shielded(
            build_loader(
                items,
                self.batch,
                collator=collate,
                rank=trainer.global_rank,
                world_size=trainer.world_size,
                shuffle=False,
            )
        )


class ToyModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.3))
        self.decoder = nn.Linear(16, 1)

    def forward(self, inputs: Tensor, targets: Tensor) -> dict[str, Any]:
        error = self.decoder(self.encoder(inputs)) - targets
        loss = error.square().mean()
        return {"loss": loss, "mae": error.abs().mean(), "weight": len(inputs), "outputs": error}


@dataclass
class ToyContext:
    """What stages use of :class:`espnet3_core.recipe.context.StageContext`."""

    directory: Path
    training: TrainingConfig
    rank: int = 0
    force: bool = False
    facts: dict[str, Any] = field(default_factory=dict)
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("espnet3"))

    @property
    def stage(self) -> Any:
        return SimpleNamespace(name="train")

    @property
    def experiment(self) -> Any:
        root = self.directory
        return SimpleNamespace(
            directory=root,
            checkpoints=root / "checkpoints",
            stats=root / "stats",
            ranks=root / "ranks",
            log=lambda stage: root / f"{stage}.log",
            metrics=root / "metrics.jsonl",
        )

    def config(self, role: str) -> TrainingConfig:
        assert role == "training"
        return self.training

    def needs(self) -> dict[str, Any]:
        return {"experiment": self.directory, "recipe_dir": self.directory, "seed": self.training.seed}

    def note(self, **facts: Any) -> None:
        self.facts.update(facts)


def toy_config(**changes: Any) -> TrainingConfig:
    trainer = {"max_epochs": 2, "accelerator": "cpu", "log_every_n_steps": 2} | changes.pop("trainer", {})
    return TrainingConfig(
        dataset=DatasetsConfig(train=Component(target="toy_training.ToyDataset")),
        model=Component(target="toy_training.ToyModel"),
        **{
            "optimizer": Component(target="torch.optim.AdamW", options={"lr": 0.01}),
            "trainer": trainer,
            **changes,
        },
    )


class Trace(Callback):
    """Writes down every micro-batch: place, ids, loss and learning rate, exactly; dies when told to."""

    def __init__(
        self,
        path: Path,
        die_at: int | None = None,
        signal_at: int | None = None,
        number: int = signal.SIGTERM,
    ) -> None:
        self.path, self.die_at, self.signal_at, self.number = path, die_at, signal_at, number
        self.seen = 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs["loss"] * trainer.accumulate_grad_batches
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        record = [
            trainer.current_epoch,
            batch_idx,
            batch["ids"],
            loss.item().hex(),
            rate.hex(),
            trainer.global_step,
        ]
        with self.path.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        self.seen += 1
        if self.seen == self.signal_at:
            os.kill(os.getpid(), self.number)
        if self.seen == self.die_at:
            raise Died


class Died(Exception):
    """The process is gone, as far as training can tell."""


def read_trace(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run_toy(
    context: ToyContext,
    model: nn.Module | None = None,
    trace: Trace | None = None,
    more: Sequence[Callback] = (),
    sinks: Sequence[Any] = (),
    kind: Any = None,
    **data: Any,
) -> Any:
    """What stage ``train`` does, on toy data; returns the module, or None when training was finished."""
    from espnet3_core.train.randomness import seed_everything

    config = context.training
    arguments = stage.trainer_arguments(config)
    resume = find_resume(context.experiment.checkpoints)
    if resume is not None and is_finished(resume, arguments):
        stage._finish(cast(Any, context), config, resume)
        return None
    seed_everything(config.seed, "model")
    module = (kind or stage.module_class(config))(model or ToyModel(), config)
    if trace is not None or more:
        configured = [
            stage.instantiate(node, "training.trainer.callbacks", cast(Any, context))
            for node in arguments.get("callbacks", [])
        ]
        arguments["callbacks"] = [*configured, *more, *([trace] if trace is not None else [])]
    if sinks:
        arguments["logger"] = list(sinks)
    datasets = ToyData(config, resume, **data)
    resume = datasets.resume
    trainer = stage.build_trainer(cast(Any, context), config, arguments, resume)
    stage.run(cast(Any, context), trainer, module, datasets, resume)
    return module
