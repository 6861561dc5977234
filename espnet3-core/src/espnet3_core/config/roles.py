"""Schemas of the five configuration roles. Systems extend them by subclassing (``SystemSpec.schemas``)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
    on_error: Literal["stop", "skip", "quarantine"] = "stop"
    """An utterance that cannot be read stops the run; or it is left out and listed in the experiment's
    ``bad_data/``, and tried again when its turn comes (skip) or not (quarantine)."""
    max_errors: int | float = 0.01
    """Most utterances that are left out of a data set: a number, or a share, which allows one at least."""


@dataclass(kw_only=True)
class BatchConfig:
    """How utterances are grouped into batches. Utterances of similar length share a batch."""

    seconds: float | None = None
    """Most seconds of padded audio in a batch."""
    size: int | None = None
    """Most utterances in a batch."""
    auto: bool = False
    """Find the seconds by trying batches of the longest utterances, once for an experiment (``batch.json``);
    ``seconds`` and ``size``, where given, are upper bounds."""
    memory: float | None = None
    """With ``auto``: GiB that the training process may take; None takes all that CUDA has. On the CPU it must
    be given."""
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
    threads: int = 0
    """Threads of the training process that load data, in place of ``workers``. Nothing has to be sent, which
    takes a fourth of the work of loading audio; but what is written in Python takes turns, and the dataset
    and the transforms must bear being called from several threads at once."""
    pin_memory: bool | None = None
    """Page-locked host memory; None means when training on CUDA."""

    def without_gradients(self) -> BatchConfig:
        """What to do with ``auto`` where nothing is trained: a minute of audio, which fits anywhere."""
        return replace(self, auto=False, seconds=self.seconds or 60.0) if self.auto else self


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
class NamedOptimizer:
    """One of several optimizers, with parameters and a loss of its own.

    A *round* is the smallest number of batches in which every optimizer finishes its accumulation; it is one
    global step. In each batch the optimizers take turns, in the order in which they are written.
    """

    parameters: list[str]
    """Shell-style patterns over parameter names; each trained parameter belongs to exactly one optimizer."""
    optimizer: Annotated[Component, Slot("optimizer")] = _named("core/adamw")
    """Optimizer."""
    scheduler: Annotated[Component, Slot("scheduler")] | None = None
    """Learning-rate schedule, over this optimizer's own steps."""
    clip: float | None = None
    """Largest norm of this optimizer's gradients, or value; None does not clip."""
    clip_by: Literal["norm", "value"] = "norm"
    """Whether ``clip`` bounds the norm of all gradients together, or each number in them."""
    accumulate: int = 1
    """Batches whose gradients make up a step."""
    every: int = 1
    """Takes part in every so many-th round only; in the others its loss is not computed."""

    def __post_init__(self) -> None:
        if not self.parameters:
            raise ValueError("`parameters` is empty: write patterns over parameter names")
        for key in ("accumulate", "every"):
            if getattr(self, key) < 1:
                raise ValueError(f"`{key}` is {getattr(self, key)}, and has to be at least 1")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"`clip` is {self.clip}, and has to be above 0; null does not clip")


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
class ResumeConfig:
    """What may be other than before when a begun training goes on; nothing, unless it is said here.

    Whatever else is changed needs another ``--tag``, or ``--force``.
    """

    model: Literal["refuse", "same_weights"] = "refuse"
    """Another model: ``same_weights`` goes on when each weight keeps its name and shape (other dropout)."""
    data: Literal["refuse", "restart_epoch"] = "refuse"
    """Other data: ``restart_epoch`` goes on with it and begins the running epoch again; the tokenizer and the
    statistics stay those of the data that training began with."""
    batch: Literal["refuse", "restart_epoch"] = "refuse"
    """Other limits of batches, or other gradient accumulation: ``restart_epoch`` as for data."""
    world_size: Literal["refuse", "restart_epoch"] = "refuse"
    """Another number of processes: ``restart_epoch`` as for data."""


@dataclass(kw_only=True)
class InitConfig:
    """``training.model.init_from``: another model to begin from; a path alone stands for its source."""

    source: str
    """A bundle (folder, archive or address), or a checkpoint; relative to the recipe. A bundle brings its
    tokenizer along; feature statistics are among the weights."""
    vocabulary: Literal["keep", "extend", "replace"] = "keep"
    """A bundle's vocabulary stays as it is; or takes in new tokens of the training texts, whose weights are
    new; or is trained anew, and all weights that belong to it are new."""
    skip: list[str] = field(default_factory=list)
    """Shell-style patterns over names of weights that are not taken over: ``decoder.*``."""


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
    """The network; ``init_from`` in it names another model to begin from (:class:`InitConfig`)."""
    optimizer: Annotated[Component, Slot("optimizer")] = _named("core/adamw")
    """Optimizer."""
    scheduler: Annotated[Component, Slot("scheduler")] | None = None
    """Learning-rate schedule."""
    optimizers: dict[str, NamedOptimizer] = field(default_factory=dict)
    """Optimizers by name, instead of ``optimizer`` and ``scheduler``; they take turns in this order."""
    parameters: list[ParameterRule] = field(default_factory=list)
    """Rules for groups of parameters: frozen ones, own learning rates."""
    batch: BatchConfig = field(default_factory=BatchConfig)
    """Batching of training and validation data."""
    collator: Annotated[Component, Slot("collator")] = _named("core/pad")
    """Items to a batch."""
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    """What is saved."""
    max_bad_steps: int = 10
    """Optimizer steps in a row that may be left out because their loss is not finite."""
    watchdog: float | None = None
    """Seconds without progress on any process after which a training is ended with a report on all of them;
    ten times as long for the first batch and for writing models. 0 does not watch, not even for processes
    that die. None: 1200 with several processes, less than the 30 minutes after which torch's collectives give
    up; no watch over a single process."""
    resume: ResumeConfig = field(default_factory=ResumeConfig)
    """What may be other than before when a begun training goes on."""
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
    on_error: Literal["stop", "skip", "quarantine"] = "stop"
    """An utterance that cannot be read or decoded stops the stage; or its result is an ``error``, and it is
    tried again when the stage runs again (skip) or not (quarantine)."""
    max_errors: int | float = 0.01
    """Most failed utterances of a test set: a number, or a share, which allows one at least."""
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
    datasets: list[str] = field(default_factory=list)
    """What it was trained on, by the Hugging Face Hub's names of corpora (``openslr/librispeech_asr``)."""
    sample: str | None = "test"
    """What ``espnet3 verify`` replays: ``test`` is an utterance of the first test set; else an audio file, or
    the text itself for models that take text. Null packs none (data that may not be given away)."""
    upload: Annotated[Component, Slot("publisher")] | None = None
    """Publisher for stage upload_model."""
    dry_run: bool = False
    """Stage upload_model lists what it would send, with sizes, and asks nobody anything."""


@dataclass(kw_only=True)
class DemoConfig:
    """Role ``demo``: a page to try the model."""

    title: str = ""
    """Heading of the page."""
    description: str = ""
    """Text below the heading; Markdown."""
    page: Annotated[Component, Slot("page")] | None = None
    """Own page, such as ``{_target_: src.page.build}``; None makes one from what the bundle declares."""
    max_seconds: float = 60.0
    """Longest recording."""
    max_mb: float = 25.0
    """Largest upload in megabytes."""
    max_characters: int = 500
    """Longest text."""
    bundle: str | None = None
    """Address (``hf://org/name@revision``) that a packed demo loads its model from; None puts the bundle into
    it."""
    upload: Annotated[Component, Slot("publisher")] | None = None
    """Publisher for stage upload_demo."""
    dry_run: bool = False
    """Stage upload_demo lists what it would send, with sizes, and asks nobody anything."""


SCHEMAS = {
    "training": f"{__name__}:TrainingConfig",
    "inference": f"{__name__}:InferenceConfig",
    "metrics": f"{__name__}:MetricsConfig",
    "publication": f"{__name__}:PublicationConfig",
    "demo": f"{__name__}:DemoConfig",
}
"""Schema of each role as ``module:Dataclass``."""
