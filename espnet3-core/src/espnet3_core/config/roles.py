"""Schemas of the five configuration roles. Systems extend them by subclassing (``SystemSpec.schemas``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from espnet3_core.component import Component, Slot


def _named(name: str) -> Any:
    return field(default_factory=lambda: Component(name=name))


@dataclass(kw_only=True)
class DatasetsConfig:
    """Where training data comes from."""

    sample_rate: int | None = None
    """Rate in Hz of all audio that reaches the model; None when the data has no audio."""
    builder: Annotated[Component, Slot("dataset", "builder")] | None = None
    """Prepares the corpus in stage create_dataset: a :class:`espnet3_core.data.builder.DatasetBuilder`."""
    train: Annotated[Component, Slot("dataset")]
    """Training set; several are mixed with ``core/mixture``."""
    valid: Annotated[Component, Slot("dataset")] | None = None
    """Validation set."""
    transforms: list[Annotated[Component, Slot("transform")]] = field(default_factory=list)
    """Augmentation, in order; training items only, never for statistics or validation."""
    preprocess: list[Annotated[Component, Slot("transform")]] = field(default_factory=list)
    """Transforms of every item, inference included (text clean-up, for example)."""
    min_seconds: float | None = None
    """Shorter training utterances are left out, and counted in the log."""
    max_seconds: float | None = None
    """Longer training utterances are left out, and counted in the log."""


@dataclass(kw_only=True)
class BatchConfig:
    """How utterances are grouped into batches. Utterances of similar length share a batch."""

    seconds: float | None = None
    """Most seconds of padded audio in a batch."""
    size: int | None = None
    """Most utterances in a batch."""
    scope: Literal["per_device", "global"] = "per_device"
    """Whether the limits hold for each device, so that more devices make larger updates, or for all devices
    together, so that an update has the same utterances on any number of devices."""
    uneven: Literal["split", "drop"] = "split"
    """Batches that cannot be shared out evenly to the devices: some are split, and every utterance comes
    once in an epoch; or the left-over ones are left out, others in each epoch. Validation leaves none out."""
    shuffle: bool = True
    """Shuffle utterances of similar length, and the order of batches, in each epoch."""
    workers: int = 0
    """Processes that load data; 0 loads in the training process."""
    pin_memory: bool | None = None
    """Page-locked host memory; None means when training on CUDA."""


@dataclass(kw_only=True)
class ParameterRule:
    """Settings for the parameters whose names match a pattern. The first matching rule counts."""

    match: str
    """Shell-style pattern over parameter names: ``*.encoder.*``, ``*.bias``."""
    freeze: bool = False
    """Do not train them."""
    options: dict[str, Any] = field(default_factory=dict)
    """Optimizer options of their group: ``{lr: 1e-4, weight_decay: 0}``."""


@dataclass(kw_only=True)
class BestConfig:
    """Checkpoints to keep by a monitored value."""

    monitor: str = "valid/loss"
    """Logged value."""
    mode: Literal["min", "max"] = "min"
    """Whether lower or higher is better."""
    keep: int = 3
    """How many to keep."""
    average: bool = True
    """Write the average of the kept weights, too."""


@dataclass(kw_only=True)
class CheckpointConfig:
    """What training saves."""

    best: list[BestConfig] = field(default_factory=lambda: [BestConfig()])
    """Selections; the first one is what ``checkpoint: best`` and ``average`` mean in inference."""
    every_steps: int | None = None
    """Save a resumable checkpoint after so many optimizer steps, too; at the end of each epoch always."""


@dataclass(kw_only=True)
class TrainingConfig:
    """Role ``training``: data, tokenizer, model and optimization."""

    seed: int = 0
    """Reaches weights, batch order, augmentation and dropout."""
    dataset: DatasetsConfig
    """Corpora."""
    tokenizer: Annotated[Component, Slot("tokenizer")] | None = None
    """Text to token ids; trained in stage train_tokenizer."""
    model: Annotated[Component, Slot("model")]
    """The network."""
    optimizer: Annotated[Component, Slot("optimizer")] = _named("core/adamw")
    """Optimizer."""
    scheduler: Annotated[Component, Slot("scheduler")] | None = None
    """Learning-rate schedule."""
    parameters: list[ParameterRule] = field(default_factory=list)
    """Rules for groups of parameters: frozen ones, own learning rates."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Batching of training and validation data."""
    collator: Annotated[Component, Slot("collator")] = _named("core/pad")
    """Items to a batch."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """What is saved."""
    init_from: str | None = None
    """Checkpoint or bundle whose weights are loaded before the first step."""
    loggers: list[Annotated[Component, Slot("callback", "logger")]] = field(default_factory=list)
    """Loggers beside ``metrics.jsonl``: ``core/tensorboard``, ``core/wandb``."""
    callbacks: list[Annotated[Component, Slot("callback")]] = field(default_factory=list)
    """Further Lightning callbacks."""
    module: Annotated[Component, Slot("callback", "module")] | None = None
    """Own subclass of :class:`espnet3_core.train.module.TrainingModule` (``src/lightning_module.py``)."""
    trainer_class: str | None = None
    """Import path of an own subclass of ``lightning.Trainer`` (``src.trainer.MyTrainer``)."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Arguments of ``lightning.Trainer``."""


@dataclass(kw_only=True)
class InferenceBatchConfig:
    """Batches of inference; longest first, results in the order of the input."""

    seconds: float | None = 120.0
    """Most seconds of padded audio in a batch."""
    size: int | None = None
    """Most utterances in a batch."""


@dataclass(kw_only=True)
class InferenceConfig:
    """Role ``inference``: which weights, which data, how to decode."""

    checkpoint: str = "average"
    """``best``, ``average``, ``last`` or a path."""
    test_sets: dict[str, Annotated[Component, Slot("dataset")]]
    """Data by name; the name is the folder of the results."""
    search: Annotated[Component, Slot("search")] | None = None
    """Decoder with ``infer(batch)``; None uses the model's own ``infer``."""
    batch: InferenceBatchConfig = field(default_factory=InferenceBatchConfig)
    """Batching."""
    executor: Annotated[Component, Slot("executor")] = _named("core/in_process")
    """Where the work runs: ``core/in_process``, ``core/processes``."""
    on_error: Literal["stop", "record"] = "stop"
    """An utterance that cannot be read or decoded stops the stage, or is recorded as failed."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the forward pass."""
    seed: int = 0
    """Seed for searches that sample."""


@dataclass(kw_only=True)
class MetricsConfig:
    """Role ``metrics``: scores over the results."""

    metrics: dict[str, Annotated[Component, Slot("metric")]]
    """Metrics by id; one metric may stand here twice with other options."""
    test_sets: list[str] | None = None
    """Test sets to score; None for all of the inference configuration."""


@dataclass(kw_only=True)
class PublicationConfig:
    """Role ``publication``: the bundle, and where it goes."""

    checkpoint: str | None = None
    """Weights to pack; None for those that inference uses."""
    title: str = ""
    """Title of the model card."""
    license: str | None = None
    """Licence of the weights."""
    language: list[str] = field(default_factory=list)
    """Languages (ISO 639-1)."""
    upload: Annotated[Component, Slot("publisher")] | None = None
    """Publisher for stage upload_model."""


@dataclass(kw_only=True)
class DemoConfig:
    """Role ``demo``: a page to try the model."""

    title: str = ""
    """Heading of the page."""
    description: str = ""
    """Text below the heading."""


SCHEMAS = {
    "training": f"{__name__}:TrainingConfig",
    "inference": f"{__name__}:InferenceConfig",
    "metrics": f"{__name__}:MetricsConfig",
    "publication": f"{__name__}:PublicationConfig",
    "demo": f"{__name__}:DemoConfig",
}
"""Schema of each role as ``module:Dataclass``."""
