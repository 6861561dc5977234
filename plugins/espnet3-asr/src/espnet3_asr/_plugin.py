"""The plugin ``asr``: speech recognition."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from espnet3_core.hookspecs import hookimpl
from espnet3_core.specs import RecipeTemplateSpec


def _records(module: str, name: str) -> Iterable[Any]:
    records: Iterable[Any] = getattr(import_module(f"espnet3_asr.{module}"), name)
    return records


@hookimpl
def espnet3_models() -> Iterable[Any]:
    """Recognisers."""
    return _records("models.records", "MODELS")


@hookimpl
def espnet3_searches() -> Iterable[Any]:
    """Decoders."""
    return _records("searches.records", "SEARCHES")


@hookimpl
def espnet3_tokenizers() -> Iterable[Any]:
    """Text to tokens."""
    return _records("tokenizers.records", "TOKENIZERS")


@hookimpl
def espnet3_metrics() -> Iterable[Any]:
    """Error rates."""
    return _records("metrics.records", "METRICS")


@hookimpl
def espnet3_systems() -> Iterable[Any]:
    """The recognition system."""
    return (import_module("espnet3_asr.system").RECOGNITION,)


@hookimpl
def espnet3_commands() -> Iterable[Any]:
    """``espnet3 asr``."""
    return _records("cli_records", "COMMANDS")


@hookimpl
def espnet3_exports() -> Iterable[Any]:
    """CTC models as graphs."""
    return _records("models.records", "EXPORTS")


@hookimpl
def espnet3_check_data(context: Any, split: Any, tokenizer: Any) -> Iterable[Any]:
    """Utterances that are too short for their text."""
    found: Iterable[Any] = import_module("espnet3_asr.data_checks").check_lengths(context, split, tokenizer)
    return list(found)


@hookimpl
def espnet3_config_paths() -> Iterable[str]:
    """Model configurations for recipes' ``defaults:``."""
    return ("pkg://espnet3_asr.conf",)


@hookimpl
def espnet3_recipes() -> Iterable[Any]:
    """The template of ``espnet3 new recipe``."""
    yield RecipeTemplateSpec(
        system="asr/recognition",
        path="espnet3_asr:templates/recognition",
        prepare="espnet3_asr.templates.prepare:prepare",
        summary="speech recognition on your own recordings",
    )
