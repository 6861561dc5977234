"""Records of core's optimizers, schedules, loggers and callbacks."""

from __future__ import annotations

from espnet3_core.specs import CallbackSpec, OptimizerSpec, SchedulerSpec

_CONFIG = "espnet3_core.train.config"
_OPTIMIZERS = "espnet3_core.train.optimizers"
_SCHEDULES = "espnet3_core.train.schedules"

OPTIMIZERS = (
    OptimizerSpec(
        name="core/adamw",
        target=f"{_OPTIMIZERS}:adamw",
        config=f"{_CONFIG}:AdamWConfig",
        summary="Adam with decoupled weight decay",
    ),
    OptimizerSpec(
        name="core/adam", target=f"{_OPTIMIZERS}:adam", config=f"{_CONFIG}:AdamConfig", summary="Adam"
    ),
    OptimizerSpec(
        name="core/sgd",
        target=f"{_OPTIMIZERS}:sgd",
        config=f"{_CONFIG}:SGDConfig",
        summary="Stochastic gradient descent",
    ),
)

SCHEDULERS = (
    SchedulerSpec(
        name="core/warmup_inverse_sqrt",
        target=f"{_SCHEDULES}:warmup_inverse_sqrt",
        config=f"{_CONFIG}:WarmupInverseSqrtConfig",
        summary="Linear warm-up, then the inverse square root of the step",
    ),
    SchedulerSpec(
        name="core/warmup_linear",
        target=f"{_SCHEDULES}:warmup_linear",
        config=f"{_CONFIG}:WarmupLinearConfig",
        summary="Linear warm-up, then a straight line down",
    ),
    SchedulerSpec(
        name="core/warmup_cosine",
        target=f"{_SCHEDULES}:warmup_cosine",
        config=f"{_CONFIG}:WarmupCosineConfig",
        summary="Linear warm-up, then half a cosine down",
    ),
    SchedulerSpec(
        name="core/one_cycle",
        target=f"{_SCHEDULES}:one_cycle",
        config=f"{_CONFIG}:OneCycleConfig",
        summary="Up and down along two half cosines",
    ),
    SchedulerSpec(
        name="core/reduce_on_plateau",
        target=f"{_SCHEDULES}:ReduceOnPlateau",
        config=f"{_CONFIG}:ReduceOnPlateauConfig",
        summary="Lower when a monitored value stops improving",
    ),
)

CALLBACKS = (
    CallbackSpec(
        name="core/tensorboard",
        role="logger",
        target="espnet3_core.train.loggers:tensorboard",
        config=f"{_CONFIG}:TensorBoardConfig",
        summary="TensorBoard files below the experiment",
    ),
    CallbackSpec(
        name="core/wandb",
        role="logger",
        target="espnet3_core.train.loggers:wandb",
        config=f"{_CONFIG}:WandbConfig",
        summary="Weights & Biases",
    ),
    CallbackSpec(
        name="core/ema",
        target="espnet3_core.train.ema:EMA",
        config=f"{_CONFIG}:EMAConfig",
        summary="Exponential moving average of the weights",
    ),
)
