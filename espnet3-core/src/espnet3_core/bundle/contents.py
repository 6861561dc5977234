"""What a bundle keeps of the configuration: names and plain values, with every default written out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from espnet3_core.build import registered_of
from espnet3_core.bundle.config import BundleConfig
from espnet3_core.bundle.foreign import foreign
from espnet3_core.component import Component
from espnet3_core.config.effective import effective
from espnet3_core.config.schema import Part, examine
from espnet3_core.discovery import distribution_version
from espnet3_core.errors import CheckFailed
from espnet3_core.fields import FieldDeclaration


def bundle_config(
    training: Any,
    inference: Any,
    recipe: Path,
    inputs: Sequence[FieldDeclaration] = (),
    tokenizer: Component | None = None,
) -> dict[str, Any]:
    """``config.json``: the nodes that loading builds, without what only training uses.

    Args:
        training: Role ``training``.
        inference: Role ``inference``.
        recipe: The recipe's folder, to which paths in the configuration are relative.
        inputs: What the model takes: transforms of texts are left out when none goes in.
        tokenizer: The tokenizer; None for that of ``training``.

    Raises:
        CheckFailed: Parts are the recipe's own code, or files outside of the bundle.
    """
    parts: dict[str, Any] = {
        "model": training.model,
        "tokenizer": tokenizer or training.tokenizer,
        "collator": training.collator,
        "preprocess": list(_needed(training.dataset.preprocess, inputs)),
        "search": inference.search,
        "batch": inference.batch,
    }
    config = {key: effective(part, training=False) for key, part in parts.items()}
    findings = [finding for key in parts for finding in foreign(config[key], key, recipe)]
    if findings:
        raise CheckFailed(findings)
    return {"sample_rate": training.dataset.sample_rate, "seed": training.seed, **config}


def _needed(transforms: Sequence[Component], inputs: Sequence[FieldDeclaration]) -> Iterator[Component]:
    """Transforms of what goes into the model. References are not there any more."""
    kinds = {field.kind for field in inputs} or {"audio"}
    for component in transforms:
        domain = registered_of(component).role if component.name is not None else None
        if domain is None or domain in kinds:
            yield component


def providers(config: Mapping[str, Any]) -> list[dict[str, str]]:
    """The registered components in a bundle's configuration, nested ones included, with who provides them."""
    found = {}
    for part in _parts(config):
        entry = registered_of(part.component)
        found[entry.kind, entry.name] = {
            "kind": entry.kind,
            "name": entry.name,
            "distribution": entry.provider.distribution,
            "version": entry.provider.version,
        }
    return [found[key] for key in sorted(found)]


def _parts(config: Mapping[str, Any]) -> list[Part]:
    report = examine(BundleConfig, config, "config")
    if report.findings:
        raise CheckFailed(report.findings)
    return report.parts


def core_versions() -> dict[str, str]:
    """Versions of core and torch."""
    return {name: distribution_version(name) or "" for name in ("espnet3-core", "torch")}
