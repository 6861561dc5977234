"""The values that options list: each one is a component of its own that has to pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from espnet3_core.config.fields import default_of, hints_of, import_target, slot_of


def choices_of(config: str, options: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """For each option that lists its values (``bool``, ``Literal``), each value but the chosen one.

    Args:
        config: ``module:Dataclass`` of the configuration.
        options: Values chosen; the defaults otherwise.
    """
    schema = import_target(config)
    hints = hints_of(schema)
    for field in dataclasses.fields(schema):
        chosen = options.get(field.name, default_of(field))
        for value in _listed(hints[field.name]):
            if value != chosen:
                yield {field.name: value}


def _listed(annotation: Any) -> list[Any]:
    """The values that an annotation allows, where it lists them."""
    if annotation is bool:
        return [False, True]
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if slot_of(annotation) is not None:
        return []
    return [value for member in get_args(annotation) for value in _listed(member)]
