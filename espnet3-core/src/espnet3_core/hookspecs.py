"""Every hook that a plugin may implement, with its contract.

A plugin is a distribution with an entry point in the group ``espnet3.v1``::

    [project.entry-points."espnet3.v1"]
    acme = "espnet3_acme._plugin"

The entry point's name (``acme``) is the plugin's namespace: all names that it registers start with
``acme/``. The module implements hooks as functions marked with :data:`hookimpl`, and imports nothing
heavy: records name their implementations as strings. A hook that takes no arguments is called once, when
plugins are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from espnet3_core import specs
    from espnet3_core.data.checking.findings import DataFinding
    from espnet3_core.errors import Finding

hookspec = pluggy.HookspecMarker("espnet3")
hookimpl = pluggy.HookimplMarker("espnet3")


@hookspec
def espnet3_datasets() -> Iterable[specs.DatasetSpec]:  # type: ignore[empty-body]
    """Datasets and dataset builders.

    Example::

        @hookimpl
        def espnet3_datasets():
            yield DatasetSpec(
                name="acme/podcasts",
                target="espnet3_acme.podcasts:Podcasts",
                config="espnet3_acme.podcasts_config:PodcastsConfig",
                summary="Podcasts with their show notes",
            )
    """


@hookspec
def espnet3_models() -> Iterable[specs.ModelSpec]:  # type: ignore[empty-body]
    """Models that can be trained.

    Example::

        @hookimpl
        def espnet3_models():
            yield ModelSpec(
                name="acme/rnn_ctc",
                target="espnet3_acme.rnn_ctc:RNNCTC",
                config="espnet3_acme.rnn_ctc_config:RNNCTCConfig",
                tasks=("asr",),
            )
    """


@hookspec
def espnet3_modules() -> Iterable[specs.ModuleSpec]:  # type: ignore[empty-body]
    """Parts of models; ``role`` says which place they fit.

    Example::

        @hookimpl
        def espnet3_modules():
            yield ModuleSpec(name="acme/mamba", role="encoder", target="espnet3_acme.mamba:Mamba",
                             config="espnet3_acme.mamba_config:MambaConfig")
    """


@hookspec
def espnet3_tokenizers() -> Iterable[specs.TokenizerSpec]:  # type: ignore[empty-body]
    """Tokenizers.

    Example::

        @hookimpl
        def espnet3_tokenizers():
            yield TokenizerSpec(name="acme/kana", target="espnet3_acme.kana:KanaTokenizer")
    """


@hookspec
def espnet3_transforms() -> Iterable[specs.TransformSpec]:  # type: ignore[empty-body]
    """Transforms of audio, text or features.

    Example::

        @hookimpl
        def espnet3_transforms():
            yield TransformSpec(name="acme/codec", domain="audio", target="espnet3_acme.codec:Codec",
                                config="espnet3_acme.codec_config:CodecConfig")
    """


@hookspec
def espnet3_collators() -> Iterable[specs.CollatorSpec]:  # type: ignore[empty-body]
    """Collators: a list of items to a batch.

    Example::

        @hookimpl
        def espnet3_collators():
            yield CollatorSpec(name="acme/pack", target="espnet3_acme.pack:Pack")
    """


@hookspec
def espnet3_searches() -> Iterable[specs.SearchSpec]:  # type: ignore[empty-body]
    """Decoders that ``inference.yaml`` chooses.

    Example::

        @hookimpl
        def espnet3_searches():
            yield SearchSpec(name="acme/k2", target="espnet3_acme.k2:K2Search", tasks=("asr",))
    """


@hookspec
def espnet3_metrics() -> Iterable[specs.MetricSpec]:  # type: ignore[empty-body]
    """Metrics over results.

    Example::

        @hookimpl
        def espnet3_metrics():
            yield MetricSpec(name="acme/accuracy", target="espnet3_acme.accuracy:Accuracy",
                             config="espnet3_acme.accuracy_config:AccuracyConfig")
    """


@hookspec
def espnet3_publishers() -> Iterable[specs.PublisherSpec]:  # type: ignore[empty-body]
    """Places that bundles are sent to.

    Example::

        @hookimpl
        def espnet3_publishers():
            yield PublisherSpec(name="acme/bucket", target="espnet3_acme.bucket:Bucket")
    """


@hookspec
def espnet3_optimizers() -> Iterable[specs.OptimizerSpec]:  # type: ignore[empty-body]
    """Optimizers, built as ``target(config, *, parameters)``.

    Example::

        @hookimpl
        def espnet3_optimizers():
            yield OptimizerSpec(name="acme/lion", target="espnet3_acme.lion:lion")
    """


@hookspec
def espnet3_schedulers() -> Iterable[specs.SchedulerSpec]:  # type: ignore[empty-body]
    """Learning-rate schedules, built as ``target(config, *, optimizer, total_steps, steps_per_epoch)``.

    Example::

        @hookimpl
        def espnet3_schedulers():
            yield SchedulerSpec(name="acme/trapezoid", target="espnet3_acme.trapezoid:trapezoid")
    """


@hookspec
def espnet3_callbacks() -> Iterable[specs.CallbackSpec]:  # type: ignore[empty-body]
    """Lightning callbacks, and loggers (``role="logger"``).

    Example::

        @hookimpl
        def espnet3_callbacks():
            yield CallbackSpec(name="acme/mlflow", role="logger", target="espnet3_acme.mlflow:logger")
    """


@hookspec
def espnet3_executors() -> Iterable[specs.ExecutorSpec]:  # type: ignore[empty-body]
    """Ways to run work on many items.

    Example::

        @hookimpl
        def espnet3_executors():
            yield ExecutorSpec(name="acme/ray", target="espnet3_acme.ray:RayExecutor")
    """


@hookspec
def espnet3_pages() -> Iterable[specs.PageSpec]:  # type: ignore[empty-body]
    """Pages to try a model in a browser, built as ``target(config, *, model, demo)``.

    Example::

        @hookimpl
        def espnet3_pages():
            yield PageSpec(name="acme/karaoke", target="espnet3_acme.karaoke:build_page")
    """


@hookspec
def espnet3_fields() -> Iterable[specs.FieldSpec]:  # type: ignore[empty-body]
    """Kinds of values that datasets, results and demos share.

    Example::

        @hookimpl
        def espnet3_fields():
            yield FieldSpec(name="acme/pose", target="espnet3_acme.pose:Pose")
    """


@hookspec
def espnet3_systems() -> Iterable[specs.SystemSpec]:  # type: ignore[empty-body]
    """Systems: ordered stages.

    Example::

        @hookimpl
        def espnet3_systems():
            yield SystemSpec(name="acme/classification", stages=(CREATE_DATASET, TRAIN, INFER, MEASURE))
    """


@hookspec
def espnet3_config_paths() -> Iterable[str]:  # type: ignore[empty-body]
    """Hydra search paths with config groups for recipes' ``defaults:``.

    Groups live under the namespace, because search paths are first-match: ``conf/model/acme/small.yaml``
    in the package is ``defaults: [model: acme/small]`` in a recipe.

    Example::

        @hookimpl
        def espnet3_config_paths():
            return ["pkg://espnet3_acme.conf"]
    """


@hookspec
def espnet3_commands() -> Iterable[specs.CommandSpec]:  # type: ignore[empty-body]
    """Verbs of the ``espnet3`` command.

    Example::

        @hookimpl
        def espnet3_commands():
            yield CommandSpec(name="classify", run="espnet3_acme.cli:run",
                              arguments="espnet3_acme.cli_arguments:arguments", summary="Label sounds")
    """


@hookspec
def espnet3_exports() -> Iterable[specs.ExportSpec]:  # type: ignore[empty-body]
    """Graphs that bundles of a system are exported as, by ``espnet3 export`` of the plugin espnet3-onnx.

    A task says here which tensors go in and come out; it needs no library of the format for that.

    Example::

        @hookimpl
        def espnet3_exports():
            yield ExportSpec(format="onnx", system="acme/classification",
                             target="espnet3_acme.export:audio_to_labels", summary="audio to labels")
    """


@hookspec
def espnet3_recipes() -> Iterable[specs.RecipeTemplateSpec]:  # type: ignore[empty-body]
    """Templates for ``espnet3 new recipe``.

    Example::

        @hookimpl
        def espnet3_recipes():
            yield RecipeTemplateSpec(system="acme/classification", path="espnet3_acme:templates/recipe")
    """


@hookspec
def espnet3_check_config(config: Mapping[str, Any]) -> Iterable[Finding]:  # type: ignore[empty-body]
    """Further checks of a recipe's configuration; an exception counts as an error finding.

    Args:
        config: Resolved configuration by role, to be read only.

    Example::

        @hookimpl
        def espnet3_check_config(config):
            if config["training"].get("dataset", {}).get("sample_rate") == 44100:
                yield Finding(message="acme models take 16 kHz", key="training.dataset.sample_rate")
    """


@hookspec
def espnet3_check_data(context: Any, split: Any, tokenizer: Any) -> Iterable[DataFinding]:  # type: ignore[empty-body]
    """Further checks of a recipe's data, by ``espnet3 data check``; called once per data set.

    This is where a task says what only it knows, such as whether an utterance is long enough for its text.
    An exception counts as an error finding.

    Args:
        context: A :class:`espnet3_core.recipe.context.StageContext` with the role ``training``, and
            ``inference`` where the recipe has it.
        split: A :class:`espnet3_core.data.checking.splits.Split`: ``name``, ``role`` (``train``, ``valid``,
            ``test``) and ``items``, each with ``id``, ``fields`` and ``samples``.
        tokenizer: The recipe's tokenizer, trained; None where it has none.

    Example::

        @hookimpl
        def espnet3_check_data(split):
            for item in split.items:
                if item.samples is not None and item.samples < 400:
                    yield item.finding("too short", "is shorter than a window", split.name)
    """


@hookspec
def espnet3_before_stage(context: Any) -> None:
    """Called before a stage runs, with its :class:`espnet3_core.recipe.context.StageContext`.

    Example::

        @hookimpl
        def espnet3_before_stage(context):
            context.logger.info("stage %s starts", context.stage.name)
    """


@hookspec
def espnet3_after_stage(context: Any) -> None:
    """Called after a stage has succeeded.

    Example::

        @hookimpl
        def espnet3_after_stage(context):
            notify(f"{context.stage.name} is done")
    """


@hookspec
def espnet3_before_publish(manifest: Mapping[str, Any]) -> Iterable[Finding]:  # type: ignore[empty-body]
    """A veto on publishing: an error finding, or an exception, stops the upload.

    Args:
        manifest: The bundle's ``manifest.json``.

    Example::

        @hookimpl
        def espnet3_before_publish(manifest):
            if not manifest.get("license"):
                yield Finding(message="bundles need a licence", key="publication.license")
    """


@hookspec(firstresult=True)
def espnet3_resolve_source(uri: str) -> Any:
    """Turn a data address (``hf://…``, ``shar://…``) into a dataset, or return None to leave it to others.

    The only hook of which the first answer counts.

    Args:
        uri: Address as written in the recipe; it contains ``://``.

    Example::

        @hookimpl
        def espnet3_resolve_source(uri):
            return Podcasts(uri) if uri.startswith("acme://") else None
    """


@hookspec(firstresult=True)
def espnet3_fetch_bundle(uri: str, directory: Path) -> bool | None:
    """Download the bundle at an address (``hf://org/name@revision``) into a folder; False or None when the
    address is another plugin's.

    The folder may hold what an earlier attempt left, to go on from. Core checks what is there afterwards
    (names, hashes, contents) and keeps it in its cache, so the plugin is asked once per address: it refuses
    addresses without a revision, whose contents would change. Nothing but the bundle's files may be left in
    the folder: the manifest lists them.

    Args:
        uri: Address; it contains ``://``, and is not http.
        directory: An existing folder.

    Example::

        @hookimpl
        def espnet3_fetch_bundle(uri, directory):
            if not uri.startswith("acme://"):
                return None
            download_all(uri, directory)
            return True
    """


@hookspec(firstresult=True)
def espnet3_write_demo(context: Any, directory: Path) -> bool | None:
    """Write a folder that runs as a page on a host of pages (stage ``pack_demo``); False or None leaves it to
    others.

    Equal bundles, configurations and versions give equal bytes. Core gives the folder its name when all of it
    is written, so nothing in it may depend on where it stands.

    Args:
        context: A :class:`espnet3_core.recipe.context.StageContext` with the role ``demo``, whose experiment
            has a bundle that core has checked.
        directory: An empty folder.

    Example::

        @hookimpl
        def espnet3_write_demo(context, directory):
            (directory / "index.html").write_text(page_of(context.experiment.bundle))
            return True
    """
