"""The plugin ``tts``: speech synthesis."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from espnet3_core.hookspecs import hookimpl


def _records(module: str, name: str) -> Iterable[Any]:
    records: Iterable[Any] = getattr(import_module(f"espnet3_tts.{module}"), name)
    return records


@hookimpl
def espnet3_models() -> Iterable[Any]:
    """Acoustic models."""
    return _records("records", "MODELS")


@hookimpl
def espnet3_modules() -> Iterable[Any]:
    """Features, encoders, vocoders."""
    return _records("records", "MODULES")


@hookimpl
def espnet3_searches() -> Iterable[Any]:
    """Synthesis with a trained model."""
    return _records("records", "SEARCHES")


@hookimpl
def espnet3_callbacks() -> Iterable[Any]:
    """Pictures during training."""
    return _records("records", "CALLBACKS")


@hookimpl
def espnet3_metrics() -> Iterable[Any]:
    """Metrics of synthetic speech."""
    return _records("records", "METRICS")


@hookimpl
def espnet3_tokenizers() -> Iterable[Any]:
    """Text frontends."""
    return _records("records", "TOKENIZERS")


@hookimpl
def espnet3_systems() -> Iterable[Any]:
    """The synthesis system."""
    return (import_module("espnet3_tts.system").SYNTHESIS,)


@hookimpl
def espnet3_exports() -> Iterable[Any]:
    """Acoustic models and vocoders as ONNX."""
    return _records("records", "EXPORTS")


@hookimpl
def espnet3_commands() -> Iterable[Any]:
    """``espnet3 tts``."""
    return _records("cli_records", "COMMANDS")


@hookimpl
def espnet3_check_data(context: Any, split: Any, tokenizer: Any) -> Iterable[Any]:
    """Texts that cannot be spoken, or have more tokens than the audio has frames."""
    found: Iterable[Any] = import_module("espnet3_tts.data_checks").check_texts(context, split, tokenizer)
    return list(found)
