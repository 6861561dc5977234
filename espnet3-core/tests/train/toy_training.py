"""A small training to test with: a dataset, a loader that resumes, a model with dropout, a stage's context."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from espnet3_core.component import Component
from espnet3_core.config.roles import DatasetsConfig, TrainingConfig
from espnet3_core.train import stage
from espnet3_core.train.resume import find_resume, is_finished


class ToyDataset(Dataset[dict[str, Any]]):
    def __init__(self, count: int = 24) -> None:
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(count, 6, generator=generator)
        self.targets = self.inputs.sum(dim=1, keepdim=True)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": f"utt{index:03d}", "inputs": self.inputs[index], "targets": self.targets[index]}


def collate(items: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "ids": [item["id"] for item in items],
        "inputs": torch.stack([item["inputs"] for item in items]),
        "targets": torch.stack([item["targets"] for item in items]),
    }


class ToySampler:
    def __init__(self, count: int, size: int, seed: int, position: Any = None, rank: int = 0, world: int = 1) -> None:
        self.count, self.size, self.seed, self.rank, self.world = count, size, seed, rank, world
        self.epoch, self.start = (position.epoch, position.batch) if position else (0, 0)
        self.start_epoch = self.epoch

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.count // self.size // self.world

    def __iter__(self) -> Any:
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.seed * 1000 + self.epoch))
        batches = order.split(self.size)[self.rank :: self.world]
        yield from batches[self.start if self.epoch == self.start_epoch else 0 :]


class ToyData(LightningDataModule):
    def __init__(self, position: Any = None, size: int = 4, workers: int = 0, count: int = 24) -> None:
        super().__init__()
        self.position, self.size, self.workers, self.count = position, size, workers, count

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.trainer is not None
        sampler = ToySampler(self.count, self.size, 5, self.position, self.trainer.global_rank, self.trainer.world_size)
        return DataLoader(
            ToyDataset(self.count), batch_sampler=sampler, collate_fn=collate, num_workers=self.workers
        )

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(ToyDataset(10), batch_size=4, collate_fn=collate)


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
    def experiment(self) -> Any:
        root = self.directory
        return SimpleNamespace(
            directory=root, checkpoints=root / "checkpoints", stats=root / "stats", metrics=root / "metrics.jsonl"
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


def run_toy(context: ToyContext, model: nn.Module | None = None, **data: Any) -> Any:
    """What stage ``train`` does, on toy data; returns the module, or None when training was finished."""
    from espnet3_core.train.module import TrainingModule
    from espnet3_core.train.randomness import seed_everything

    config = context.training
    arguments = stage.trainer_arguments(config)
    resume = find_resume(context.experiment.checkpoints)
    if resume is not None and is_finished(resume.position, arguments):
        return None
    seed_everything(config.seed, "model")
    module = TrainingModule(model or ToyModel(), config)
    stage.fit(context, config, arguments, module, ToyData(resume.position if resume else None, **data), resume)  # type: ignore[arg-type]
    return module
