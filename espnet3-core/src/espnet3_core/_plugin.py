"""Core's own components, in the namespace ``core``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from espnet3_core.hookspecs import hookimpl


def _records(module: str, name: str) -> Iterable[Any]:
    return getattr(import_module(f"espnet3_core.{module}.records"), name)  # type: ignore[no-any-return]


@hookimpl
def espnet3_datasets() -> Iterable[Any]:
    """Manifests and mixtures."""
    return _records("data", "DATASETS")


@hookimpl
def espnet3_transforms() -> Iterable[Any]:
    """Augmentation of audio, clean-up of text."""
    return _records("data", "TRANSFORMS")


@hookimpl
def espnet3_collators() -> Iterable[Any]:
    """Padding."""
    return _records("data", "COLLATORS")


@hookimpl
def espnet3_optimizers() -> Iterable[Any]:
    """Torch's optimizers by name."""
    return _records("train", "OPTIMIZERS")


@hookimpl
def espnet3_schedulers() -> Iterable[Any]:
    """Learning-rate schedules with warm-up."""
    return _records("train", "SCHEDULERS")


@hookimpl
def espnet3_callbacks() -> Iterable[Any]:
    """Callbacks and loggers."""
    return _records("train", "CALLBACKS")


@hookimpl
def espnet3_executors() -> Iterable[Any]:
    """In-process and multi-process execution."""
    return _records("infer", "EXECUTORS")


@hookimpl
def espnet3_publishers() -> Iterable[Any]:
    """A directory."""
    return _records("bundle", "PUBLISHERS")


@hookimpl
def espnet3_check_config(config: Mapping[str, Any]) -> Iterable[Any]:
    """Packages of loggers, before hours of preparation rather than after them."""
    from espnet3_core.train.loggers import missing_packages

    return list(missing_packages(config.get("training") or {}))
