"""The plugin ``sounds``: all that a task needs."""

from __future__ import annotations

from collections.abc import Iterable

from espnet3_core import specs
from espnet3_core.hookspecs import hookimpl


@hookimpl
def espnet3_datasets() -> Iterable[specs.DatasetSpec]:
    """Audio with labels."""
    yield specs.DatasetSpec(
        name="sounds/folder",
        target="espnet3_sounds.dataset:LabelledFolder",
        config="espnet3_sounds.config:FolderConfig",
        summary="A folder of audio whose file names or folders are labels",
        tasks=("sounds",),
    )


@hookimpl
def espnet3_models() -> Iterable[specs.ModelSpec]:
    """The classifier."""
    yield specs.ModelSpec(
        name="sounds/cnn",
        target="espnet3_sounds.model:Classifier",
        config="espnet3_sounds.config:ClassifierConfig",
        summary="Convolutions over features, averaged over time",
        tasks=("sounds",),
    )


@hookimpl
def espnet3_metrics() -> Iterable[specs.MetricSpec]:
    """The score."""
    yield specs.MetricSpec(
        name="sounds/accuracy",
        target="espnet3_sounds.metric:Accuracy",
        config="espnet3_sounds.config:AccuracyConfig",
        summary="Share of sounds with the right label",
        tasks=("sounds",),
    )


@hookimpl
def espnet3_systems() -> Iterable[specs.SystemSpec]:
    """The stages."""
    from espnet3_sounds.system import CLASSIFICATION

    yield CLASSIFICATION


@hookimpl
def espnet3_config_paths() -> Iterable[str]:
    """``defaults: [model: sounds/small]``."""
    return ["pkg://espnet3_sounds.conf"]


@hookimpl
def espnet3_commands() -> Iterable[specs.CommandSpec]:
    """``espnet3 classify``."""
    yield specs.CommandSpec(
        name="classify",
        run="espnet3_sounds.command:run",
        arguments="espnet3_sounds.arguments:arguments",
        summary="label audio files with a packed model",
    )


@hookimpl
def espnet3_recipes() -> Iterable[specs.RecipeTemplateSpec]:
    """``espnet3 new recipe DIR --system sounds/classification --data FOLDER``."""
    yield specs.RecipeTemplateSpec(
        system="sounds/classification",
        path="espnet3_sounds:templates/classification",
        prepare="espnet3_sounds.prepare:prepare",
        summary="Label sounds of your own",
    )
