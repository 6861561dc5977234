"""What a bundle keeps of the configuration: names and plain values, with every default written out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet3_core.build import registered_of
from espnet3_core.component import Component
from espnet3_core.config.effective import effective
from espnet3_core.discovery import distribution_version
from espnet3_core.errors import CheckFailed, Finding


def bundle_config(training: Any, inference: Any, recipe: Path) -> dict[str, Any]:
    """``config.json``: the nodes that loading builds.

    Args:
        training: Role ``training``.
        inference: Role ``inference``.
        recipe: The recipe's folder, to which paths in the configuration are relative.

    Raises:
        CheckFailed: Parts are the recipe's own code, or files outside of the bundle.
    """
    parts: dict[str, Any] = {
        "model": training.model,
        "tokenizer": training.tokenizer,
        "collator": training.collator,
        "preprocess": training.dataset.preprocess,
        "search": inference.search,
    }
    config = {key: effective(part) for key, part in parts.items()}
    config["batch"] = effective(inference.batch)
    findings = [finding for key in parts for finding in foreign(config[key], key, recipe)]
    if findings:
        raise CheckFailed(findings)
    return {"sample_rate": training.dataset.sample_rate, "seed": training.seed, **config}


def foreign(node: Any, key: str, recipe: Path | None) -> Iterator[Finding]:
    """What a bundle must not hold: import paths, interpolations, and paths of files elsewhere."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield Finding(
                message=f"{node['_target_']} is chosen by import path, and a bundle holds names only",
                key=key,
                hint=_packaging(str(node["_target_"])),
            )
        for name, value in node.items():
            if name not in ("_target_", "name"):
                yield from foreign(value, f"{key}.{name}", recipe)
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from foreign(value, f"{key}.{number}", recipe)
    elif isinstance(node, str) and "${" in node:
        yield Finding(message=f"{node!r} is an interpolation, and a bundle holds plain values", key=key)
    elif isinstance(node, str) and recipe is not None and _is_path(node, recipe):
        yield Finding(
            message=f"{node!r} is a file or folder that the bundle would not hold",
            key=key,
            hint="pack with an inference configuration that does without it",
        )


def _packaging(target: str) -> str:
    if target.startswith("src."):
        return "espnet3 plugin from-recipe RECIPE NAME makes a package of src/, and names of its import paths"
    return "package it as a plugin and choose it by name: espnet3 plugin new"


def _is_path(text: str, recipe: Path) -> bool:
    try:
        return ("/" in text or text.count(".") == 1) and text.strip("./") != "" and (recipe / text).exists()
    except OSError:
        return False


def providers(*parts: Any) -> list[dict[str, str]]:
    """The registered components in configurations, nested ones included, with who provides them."""
    found = {}
    for component in _components(parts):
        entry = registered_of(component)
        found[entry.kind, entry.name] = {
            "kind": entry.kind,
            "name": entry.name,
            "distribution": entry.provider.distribution,
            "version": entry.provider.version,
        }
    return [found[key] for key in sorted(found)]


def _components(value: Any) -> Iterator[Component]:
    if isinstance(value, Component):
        if value.name is not None:
            yield value
            yield from _components(value.config)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _components(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _components(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _components(item)


def core_versions() -> dict[str, str]:
    """Versions of core and torch."""
    return {name: distribution_version(name) or "" for name in ("espnet3-core", "torch")}
