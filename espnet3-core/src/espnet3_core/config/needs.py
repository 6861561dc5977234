"""Runtime needs: what the components of a configuration ask for, and whether anything provides it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from espnet3_core.build import providers_of, registered_of
from espnet3_core.config.schema import Part
from espnet3_core.config.signatures import signature_of
from espnet3_core.config.sources import Unknown
from espnet3_core.config.targets import missing_arguments
from espnet3_core.errors import Finding
from espnet3_core.specs import ComponentSpec, SystemSpec

ALWAYS = ("recipe_dir", "experiment", "sample_rate", "seed")
"""What core's stages give to every component."""
BY_KIND: Mapping[str, tuple[str, ...]] = {
    "dataset": ("lenient",),
    "model": ("tokenizer", "vocab_size", "stats"),
    "optimizer": ("parameters", "params"),
    "scheduler": ("optimizer", "total_steps", "steps_per_epoch"),
    "search": ("model", "tokenizer", "vocab_size", "device"),
    "metric": ("tokenizer",),
    "callback": ("model", "training"),
    "page": ("model", "demo"),
}
"""What core's stages give to components of a kind, too."""


def need_findings(parts: Iterable[Part], system: SystemSpec, recipe: Path | None) -> list[Finding]:
    """Needs that nobody provides.

    A part nested in others may get what any of them, or the system, provides: what exactly a parent passes
    on is only known to its code, and a check must not report what would run.
    """
    findings = []
    for part in parts:
        component, slot = part.component, part.component.slot
        provided = {*ALWAYS, *system.provides, *(BY_KIND.get(slot.kind, ()) if slot else ())}
        for parent in part.above:
            provided.update(getattr(parent.record, "provides", ()))
            kind = parent.component.slot.kind if parent.component.slot else ""
            provided.update(BY_KIND.get(kind, ()))
        if component.target is not None:
            for name in missing_arguments(component, provided, recipe):
                message = f"{component.target} needs an argument `{name}`"
                hint = f"set {name} in the configuration"
                findings.append(Finding(message=message, key=component.path, hint=hint))
            continue
        try:
            missing = _missing(part.record, provided)
        except LookupError as error:
            broken = registered_of(component).broken("target", f"{error.args[0]} ({part.record.target})")
            findings.append(Finding(message=broken.message, key=component.path, hint=broken.hint))
            continue
        for name in missing:
            message = f"{component.name} needs `{name}`, which nothing provides here"
            findings.append(Finding(message=message, key=component.path, hint=providers_of(name)))
    return findings


def _missing(record: object, provided: set[str]) -> list[str]:
    if not isinstance(record, ComponentSpec):
        return []
    try:
        signature = signature_of(record.target)
    except (Unknown, SyntaxError):
        return []
    needs = signature.needs if record.config is not None else signature.parameters
    return [need.name for need in needs if need.required and need.name not in provided]
