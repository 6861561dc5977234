"""Records that plugins return from hooks: frozen, made of plain strings, never classes.

A record names its implementation as ``module:attribute`` and its configuration schema as another such
target, so that listing and checking components imports nothing heavy. :data:`KINDS` is the one table of
kinds; whatever differs by kind reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from espnet3_core.fields import FieldDeclaration


@dataclass(frozen=True)
class Alias:
    """A former name that still resolves, with a warning.

    Attributes:
        name: The old ``namespace/ident``.
        removed_in: Version of the providing distribution that will drop it.
    """

    name: str
    removed_in: str


@dataclass(frozen=True, kw_only=True)
class ComponentSpec:
    """One named implementation of a kind.

    Attributes:
        name: ``namespace/ident``; persistent API, because bundles record it.
        target: ``module:attribute`` of the class or factory, built as ``target(config, **needs)``.
        config: ``module:Dataclass`` of the configuration schema, or None when it takes none.
        summary: One line for ``espnet3 list``.
        tasks: Tasks it serves (``asr``, ``tts`` …); empty for any.
        aliases: Former names.
        provides: Runtime needs that it passes on to components nested in it.
    """

    name: str
    target: str
    config: str | None = None
    summary: str = ""
    tasks: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(ComponentSpec):
    """A dataset: ``__len__`` and ``__getitem__ -> dict``; see :class:`espnet3_core.protocols.Dataset`."""


@dataclass(frozen=True, kw_only=True)
class ModelSpec(ComponentSpec):
    """A trainable model: an ``nn.Module`` whose forward takes batch fields and returns a loss."""


@dataclass(frozen=True, kw_only=True)
class ModuleSpec(ComponentSpec):
    """A part of a model.

    Attributes:
        role: ``frontend``, ``normalizer``, ``encoder``, ``decoder``, ``vocoder`` …
    """

    role: str


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec(ComponentSpec):
    """Text to token ids and back; see :class:`espnet3_core.protocols.Tokenizer`."""


@dataclass(frozen=True, kw_only=True)
class TransformSpec(ComponentSpec):
    """A change to one utterance.

    Attributes:
        domain: ``audio`` and ``text`` transforms work on dataset items, ``features`` inside a model.
    """

    domain: Literal["audio", "features", "text"]


@dataclass(frozen=True, kw_only=True)
class CollatorSpec(ComponentSpec):
    """A list of items to one flat batch."""


@dataclass(frozen=True, kw_only=True)
class SearchSpec(ComponentSpec):
    """Inference with a trained model: ``infer(batch) -> list[dict]``."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(ComponentSpec):
    """A score over results; see :class:`espnet3_core.measure.metric.Metric`."""


@dataclass(frozen=True, kw_only=True)
class PublisherSpec(ComponentSpec):
    """Where bundles go; see :class:`espnet3_core.protocols.Publisher`."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(ComponentSpec):
    """``target(config, *, parameters)`` returns a ``torch.optim.Optimizer``."""


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec(ComponentSpec):
    """``target(config, *, optimizer, total_steps, steps_per_epoch)`` returns a learning-rate scheduler."""


@dataclass(frozen=True, kw_only=True)
class CallbackSpec(ComponentSpec):
    """A Lightning callback or logger.

    Attributes:
        role: ``callback`` or ``logger``.
    """

    role: Literal["callback", "logger"] = "callback"


@dataclass(frozen=True, kw_only=True)
class ExecutorSpec(ComponentSpec):
    """Runs a function over shards of work; see :class:`espnet3_core.protocols.Executor`."""


@dataclass(frozen=True, kw_only=True)
class FieldSpec(ComponentSpec):
    """A kind of value (``audio``, ``text`` …) that datasets, results, metrics and demos share."""


@dataclass(frozen=True, kw_only=True)
class PageSpec(ComponentSpec):
    """A page to try a model in a browser; see :class:`espnet3_core.protocols.Page`."""


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One step of a system.

    Attributes:
        name: What ``--stages`` takes.
        run: ``module:function`` (or, in a recipe's own system, the function) called with a StageContext.
        roles: Configuration roles that it reads; the CLI's options are generated from them.
        inputs: Dotted keys, role first (``training.model``), that decide whether it is up to date;
            empty for everything in its roles.
        neutral: Keys below the inputs that do not matter (workers, devices, logging).
        ordered: Keys below the inputs whose entries take part in the order in which they are written.
        after: Stages whose outputs it uses; their records are part of its fingerprint.
        outputs: Paths below the experiment that exist once it is done; ``{inference}`` is filled in.
        on_stale: ``rerun`` it when an input changed, or ``refuse`` and ask (training never overwrites).
        explicit: Run only when named (uploads).
        distributed: Started by Lightning's launcher on several processes; other stages run on rank 0.
        when_skipped: ``module:function`` (or the function) called with the StageContext where the stage is
            up to date, to show again what it found.
    """

    name: str
    run: str | Callable[[Any], None]
    roles: tuple[str, ...]
    inputs: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    ordered: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    on_stale: Literal["rerun", "refuse"] = "rerun"
    explicit: bool = False
    distributed: bool = False
    when_skipped: str | Callable[[Any], None] | None = None
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class SystemSpec:
    """An ordered tuple of stages.

    Attributes:
        name: ``namespace/ident``.
        stages: In the order in which they run.
        schemas: ``module:Dataclass`` per role where it differs from core's own role schema.
        provides: Runtime needs that the stages fill for top-level components.
        tasks: Tasks it serves.
        inputs: What its models take; the first is what a call is about. Bundles, servers and pages read it.
        outputs: What they give.
    """

    name: str
    stages: tuple[StageSpec, ...]
    schemas: Mapping[str, str] = field(default_factory=dict)
    provides: tuple[str, ...] = ()
    summary: str = ""
    tasks: tuple[str, ...] = ()
    aliases: tuple[Alias, ...] = ()
    inputs: tuple[FieldDeclaration, ...] = ()
    outputs: tuple[FieldDeclaration, ...] = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of all stages, in order of first use."""
        return tuple(dict.fromkeys(role for stage in self.stages for role in stage.roles))


@dataclass(frozen=True, kw_only=True)
class CommandSpec:
    """A verb of the command line.

    Attributes:
        name: ``espnet3 NAME``.
        run: ``module:function`` called with the parsed arguments; returns an exit code.
        arguments: ``module:function`` that adds arguments to the verb's ``argparse`` parser; its module
            must be as light as the plugin module.
        summary: One line for ``espnet3 --help``.
    """

    name: str
    run: str
    arguments: str
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class ExportSpec:
    """How the bundles of a system are written as graphs that run without torch.

    Attributes:
        format: As in ``espnet3 export --format``.
        system: System of the bundles: ``namespace/ident``.
        target: ``module:function`` called with an :class:`espnet3_core.bundle.model.LoadedModel`; returns an
            :class:`espnet3_core.bundle.export.Export`. It raises a UserError that says why where this bundle
            has no such form.
        summary: One line for ``espnet3 export --help``.
    """

    format: str
    system: str
    target: str
    summary: str = ""


@dataclass(frozen=True, kw_only=True)
class RecipeTemplateSpec:
    """A starting point for ``espnet3 new recipe``.

    Attributes:
        system: System that recipes made from it use.
        path: ``package:folder`` of the template files.
        prepare: ``module:function`` called with (directory, data, options) to fill in what depends on data.
    """

    system: str
    path: str
    prepare: str | None = None
    summary: str = ""


@dataclass(frozen=True)
class Kind:
    """A row of the table of kinds.

    Attributes:
        name: As in ``espnet3 list KIND``.
        record: Type that the hook must return.
        hook: Name of the collecting hook.
        key: Where recipes choose it, for hints.
        protocol: ``module:class`` that documents what an implementation must offer.
    """

    name: str
    record: type[ComponentSpec] | type[SystemSpec]
    hook: str
    key: str
    protocol: str


_P = "espnet3_core.protocols"
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("dataset", DatasetSpec, "espnet3_datasets", "training.dataset.train", f"{_P}:Dataset"),
        Kind("model", ModelSpec, "espnet3_models", "training.model", f"{_P}:Model"),
        Kind("module", ModuleSpec, "espnet3_modules", "training.model.<role>", f"{_P}:Module"),
        Kind("tokenizer", TokenizerSpec, "espnet3_tokenizers", "training.tokenizer", f"{_P}:Tokenizer"),
        Kind(
            "transform", TransformSpec, "espnet3_transforms", "training.dataset.transforms", f"{_P}:Transform"
        ),
        Kind("collator", CollatorSpec, "espnet3_collators", "training.collator", f"{_P}:Collator"),
        Kind("search", SearchSpec, "espnet3_searches", "inference.search", f"{_P}:Search"),
        Kind(
            "metric", MetricSpec, "espnet3_metrics", "metrics.metrics", "espnet3_core.measure.metric:Metric"
        ),
        Kind("publisher", PublisherSpec, "espnet3_publishers", "publication.upload", f"{_P}:Publisher"),
        Kind("optimizer", OptimizerSpec, "espnet3_optimizers", "training.optimizer", f"{_P}:Optimizer"),
        Kind("scheduler", SchedulerSpec, "espnet3_schedulers", "training.scheduler", f"{_P}:Scheduler"),
        Kind("callback", CallbackSpec, "espnet3_callbacks", "training.callbacks", f"{_P}:Callback"),
        Kind("executor", ExecutorSpec, "espnet3_executors", "inference.executor", f"{_P}:Executor"),
        Kind("page", PageSpec, "espnet3_pages", "demo.page", f"{_P}:Page"),
        Kind("field", FieldSpec, "espnet3_fields", "fields", f"{_P}:Field"),
        Kind("system", SystemSpec, "espnet3_systems", "recipe.system", f"{_P}:System"),
    )
}
