"""Configurations of core's optimizers, schedules, loggers and callbacks. Nothing heavy is imported here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(kw_only=True)
class AdamWConfig:
    """Adam with decoupled weight decay."""

    lr: float = 1e-3
    """Learning rate; schedules scale it."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the denominator."""
    weight_decay: float = 0.01
    """Decoupled weight decay."""
    fused: bool | None = None
    """One kernel for all parameters; None chooses it where it is faster and always works."""


@dataclass(kw_only=True)
class AdamConfig:
    """Adam; weight decay is an L2 penalty."""

    lr: float = 1e-3
    """Learning rate; schedules scale it."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the denominator."""
    weight_decay: float = 0.0
    """L2 penalty."""
    fused: bool | None = None
    """One kernel for all parameters; None chooses it where it is faster and always works."""


@dataclass(kw_only=True)
class SGDConfig:
    """Stochastic gradient descent."""

    lr: float = 1e-2
    """Learning rate; schedules scale it."""
    momentum: float = 0.0
    """Share of the former step that is kept in the next; 0 for none."""
    nesterov: bool = False
    """Nesterov's momentum."""
    weight_decay: float = 0.0
    """L2 penalty."""
    fused: bool | None = None
    """One kernel for all parameters; None chooses it where it is faster and always works."""


@dataclass(kw_only=True)
class WarmupInverseSqrtConfig:
    """Linear warm-up, then the inverse square root of the step."""

    warmup: int | float | str = 25000
    """Steps (25000), epochs ("2 epochs") or a fraction of all steps (0.1)."""


@dataclass(kw_only=True)
class WarmupLinearConfig:
    """Linear warm-up, then a straight line down to ``final`` at the last step."""

    warmup: int | float | str = 0.1
    """Steps (25000), epochs ("2 epochs") or a fraction of all steps (0.1)."""
    final: float = 0.0
    """Learning rate at the end, as a fraction of the optimizer's."""


@dataclass(kw_only=True)
class WarmupCosineConfig:
    """Linear warm-up, then half a cosine down to ``final`` at the last step."""

    warmup: int | float | str = 0.1
    """Steps (25000), epochs ("2 epochs") or a fraction of all steps (0.1)."""
    final: float = 0.0
    """Learning rate at the end, as a fraction of the optimizer's."""


@dataclass(kw_only=True)
class OneCycleConfig:
    """Up to the optimizer's learning rate and down again along two half cosines."""

    warmup: int | float | str = 0.3
    """Rise: steps (25000), epochs ("2 epochs") or a fraction of all steps (0.3)."""
    start: float = 0.04
    """Learning rate of the first step, as a fraction of the optimizer's."""
    final: float = 4e-6
    """Learning rate of the last step, as a fraction of the optimizer's."""


@dataclass(kw_only=True)
class ReduceOnPlateauConfig:
    """Lower the learning rate when a monitored value stops improving."""

    monitor: str = "valid/loss"
    """Logged value that has to improve, for example ``valid/loss``."""
    mode: Literal["min", "max"] = "min"
    """Whether lower or higher is better."""
    factor: float = 0.5
    """What the learning rate is multiplied by."""
    patience: int = 2
    """Validations without improvement that are tolerated."""
    threshold: float = 1e-4
    """Relative improvement that counts."""
    min_lr: float = 0.0
    """Lower bound of the learning rate."""


@dataclass(kw_only=True)
class TensorBoardConfig:
    """TensorBoard files below the experiment."""

    directory: str = "tensorboard"
    """Folder, relative to the experiment."""


@dataclass(kw_only=True)
class WandbConfig:
    """Weights & Biases."""

    project: str | None = None
    """Project; None for the account's default."""
    entity: str | None = None
    """User or team."""
    run: str | None = None
    """Name of the run; None for the experiment's."""
    tags: tuple[str, ...] = ()
    """Tags of the run."""
    mode: Literal["online", "offline", "disabled"] = "online"
    """Whether records are sent as they come."""
    options: dict[str, Any] | None = None
    """Further arguments of ``wandb.init``."""


@dataclass(kw_only=True)
class EMAConfig:
    """Exponential moving average of the weights; it is what is validated, selected and averaged."""

    decay: float = 0.9999
    """Weight of the average at each update; early updates use less, (1 + n) / (10 + n)."""
    every_steps: int = 1
    """Optimizer steps between updates."""
