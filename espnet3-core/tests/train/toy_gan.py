"""A generator and a discriminator, trained by core and by a plain loop that shares nothing with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import BestConfig, CheckpointConfig, NamedOptimizer
from espnet3_core.train.randomness import seed_everything
from lightning.pytorch import Callback
from torch import Tensor, nn
from toy_training import toy_config

GENERATOR_FIRST = ("generator", "discriminator")
DISCRIMINATOR_FIRST = ("discriminator", "generator")


class ToyGan(nn.Module):
    """Each turn computes everything anew, unless ``reuse`` lets the second take the first one's fake."""

    def __init__(self, reuse: bool = False) -> None:
        super().__init__()
        self.reuse = reuse
        self.generated = 0
        self.generator = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.2), nn.Linear(8, 6)).double()
        self.discriminator = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).double()

    def generate(self, inputs: Tensor) -> Tensor:
        self.generated += 1
        fake: Tensor = self.generator(inputs)
        return fake

    def forward(self, inputs: Tensor, turn: str, shared: dict[str, Any]) -> dict[str, Any]:
        inputs = inputs.double()
        if not self.reuse or "fake" not in shared:
            shared["fake"] = self.generate(inputs)
        fake = shared["fake"]
        if turn == "discriminator":
            # No detach: that the generator gets nothing of this is core's business.
            return {"loss": (self.discriminator(inputs) - 1).square().mean() + self.judge(fake, 0.0)}
        distance = (fake - inputs).abs().mean()
        return {"loss": self.judge(fake, 1.0) + distance, "distance": distance}

    def judge(self, fake: Tensor, wanted: float) -> Tensor:
        return (self.discriminator(fake) - wanted).square().mean()


def named(side: str, **changes: Any) -> NamedOptimizer:
    options = {"lr": 0.02 if side == "generator" else 0.05, "betas": [0.5, 0.9]}
    return NamedOptimizer(
        parameters=[f"{side}.*"],
        **{
            "optimizer": Component(name="core/adamw", options=options, slot=Slot("optimizer")),
            "scheduler": Component(
                target="torch.optim.lr_scheduler.ExponentialLR",
                options={"gamma": 0.9 if side == "generator" else 0.8},
                slot=Slot("scheduler"),
            ),
            **changes,
        },
    )


def gan_config(order: Sequence[str] = GENERATOR_FIRST, **changes: Any) -> Any:
    """A training of the toy; ``generator`` and ``discriminator`` change the settings of a side."""
    optimizers = {side: named(side, **changes.pop(side, {})) for side in order}
    best = [BestConfig(monitor="valid/generator/distance", keep=2)]
    checkpoint = CheckpointConfig(best=best, every_steps=changes.pop("every_steps", None))
    return toy_config(optimizers=optimizers, checkpoint=changes.pop("checkpoint", checkpoint), **changes)


class Batches(Callback):
    """Keeps the batches of each epoch."""

    def __init__(self) -> None:
        self.epochs: list[list[Tensor]] = []

    def on_train_epoch_start(self, *rest: Any) -> None:
        self.epochs.append([])

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        self.epochs[-1].append(batch["inputs"].clone())


class Loop:
    """The training that a configuration describes, written out: two losses, two optimizers, one loop.

    Gradients are asked for one side at a time and kept in lists of their own, so that none can go astray.

    Args:
        model: Trained in place.
        config: Its named optimizers.
        ranks: Number of processes that it stands for; each batch is then a list of their shares.
    """

    def __init__(self, model: ToyGan, config: Any, ranks: int = 1) -> None:
        self.model, self.config, self.ranks = model, config, ranks
        self.sides = config.optimizers
        self.parameters = {side: list(getattr(model, side).parameters()) for side in self.sides}
        self.optimizers, self.schedules = {}, {}
        for side, options in self.sides.items():
            self.optimizers[side] = torch.optim.AdamW(
                self.parameters[side],
                lr=options.optimizer.options["lr"],
                betas=tuple(options.optimizer.options["betas"]),
                foreach=False,
                fused=False,
            )
            self.schedules[side] = torch.optim.lr_scheduler.ExponentialLR(
                self.optimizers[side], options.scheduler.options["gamma"]
            )
        self.steps = dict.fromkeys(self.sides, 0)
        self.rounds = 0

    def run(self, epochs: Sequence[Sequence[Any]]) -> None:
        length = math.lcm(*(options.accumulate for options in self.sides.values()))
        for epoch, batches in enumerate(epochs):
            self.sums: dict[str, Any] = dict.fromkeys(self.sides)
            for number, batch in enumerate(batches, start=1):
                last = number == len(batches)
                self.shared: list[dict[str, Any]] = [{} for _ in range(self.ranks)]
                self.draws = []
                for rank in range(self.ranks):
                    seed_everything(self.config.seed, "train", epoch, number - 1, rank)
                    self.draws.append(torch.get_rng_state())
                for side in self.sides:
                    if (self.rounds + 1) % self.sides[side].every == 0:
                        self.turn(side, number, batch if self.ranks > 1 else [batch], last)
                self.rounds += last or number % length == 0

    def turn(self, side: str, number: int, shares: Sequence[Tensor], last: bool) -> None:
        options, parameters = self.sides[side], self.parameters[side]
        for rank, share in enumerate(shares):
            torch.set_rng_state(self.draws[rank])
            loss = self.model(share, side, self.shared[rank])["loss"]
            self.draws[rank] = torch.get_rng_state()
            scaled = loss / options.accumulate / self.ranks
            gradients = torch.autograd.grad(scaled, parameters, retain_graph=True)
            before = self.sums[side] or [torch.zeros_like(value) for value in parameters]
            self.sums[side] = [a + b for a, b in zip(before, gradients, strict=True)]
        if not last and number % options.accumulate:
            return
        gradients, self.sums[side] = self.sums[side], None
        if options.clip is not None:
            norm = torch.cat([value.flatten() for value in gradients]).norm()
            gradients = [value * min(1.0, (options.clip / (norm + 1e-6)).item()) for value in gradients]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizers[side].step()
        self.schedules[side].step()
        self.steps[side] += 1
