"""Configurations with their defaults filled in."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from espnet3_core.component import Component
from espnet3_core.config.fields import default_of


def effective(value: Any, *, training: bool = True) -> Any:
    """A validated configuration as plain containers, defaults of named components included.

    Args:
        value: The configuration.
        training: False puts the default in the place of what only training uses (SpecAugment).
    """
    if isinstance(value, Component):
        if value.name is None:
            return value.to_node()
        config = value.config
        options = effective(config, training=training) if config is not None else {}
        return {"name": value.name, **options}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            item.name: _plain(default_of(item))
            if item.metadata.get("training_only") and not training
            else effective(getattr(value, item.name), training=training)
            for item in dataclasses.fields(value)
            if item.init
        }
    if isinstance(value, Mapping):
        return {key: effective(item, training=training) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [effective(item, training=training) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return str(value)


def defaults_of(schema: type) -> dict[str, Any]:
    """Default values of a schema as plain containers; component defaults as their nodes."""
    found = {}
    for item in dataclasses.fields(schema):
        value = default_of(item)
        if item.init and value is not dataclasses.MISSING:
            found[item.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return {key: _plain(item) for key, item in value.to_node().items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
