"""``role.key=value`` on the command line: parsed with Hydra's grammar one by one, all mistakes collected."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espnet3_core.config.layers import IDENTITY, Layers
from espnet3_core.config.places import COMMAND_LINE, Key, dotted
from espnet3_core.errors import Finding
from espnet3_core.names import did_you_mean


@dataclass(frozen=True)
class Override:
    """One override.

    Attributes:
        role: First word of its key.
        key: The rest of its key.
        value: New value; None when ``delete``.
        delete: It takes the key out (``~role.key``).
        text: As it was written.
    """

    role: str
    key: Key
    value: Any
    delete: bool
    text: str

    @property
    def path(self) -> str:
        """Dotted key, role first."""
        return f"{self.role}.{dotted(self.key)}"


def parse_overrides(texts: Sequence[str], roles: Sequence[str]) -> tuple[list[Override], list[Finding]]:
    """Read overrides.

    Args:
        texts: ``role.key=value``, ``+role.key=value`` or ``~role.key``.
        roles: Roles that there are.

    Returns:
        Those that could be read, and a finding for each that could not.
    """
    overrides: list[Override] = []
    findings: list[Finding] = []
    for text in texts:
        parsed = _parse(text, roles)
        if isinstance(parsed, Finding):
            findings.append(parsed)
        else:
            overrides.append(parsed)
    return overrides, findings


def _problem(text: str, message: str, hint: str | None = None) -> Finding:
    return Finding(message=f"{text}: {message}", place=str(COMMAND_LINE), hint=hint)


def _parse(text: str, roles: Sequence[str]) -> Override | Finding:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override as HydraOverride
    from hydra.errors import HydraException

    shape = "overrides look like ROLE.KEY=VALUE, for example training.seed=1"
    head, equals, tail = text.partition("=")
    key_text = re.sub(r"\[(\d+)\]", r".\1", head)
    role = key_text.lstrip("+~").partition(".")[0]
    if role not in roles:
        hint = did_you_mean(role, roles, otherwise=f"roles are: {', '.join(roles)}")
        return _problem(text, f"there is no role {role!r}", hint if "=" in text or "~" in text else shape)
    try:
        parsed: HydraOverride = OverridesParser.create().parse_override(
            key_text + text[len(text.partition("=")[0]) :]
        )
        delete = parsed.is_delete()
        if parsed.is_sweep_override():
            return _problem(
                text, "several values at once", "quote a value that has commas, and escape its quotes"
            )
        value = None if delete else parsed.value()
    except HydraException as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        return _problem(
            text, f"it cannot be read: {lines[0] if lines else error}", _grammar_hint(text) or shape
        )
    words = str(parsed.key_or_group).split(".")[1:]
    if not words or "" in words:
        return _problem(text, "it names a role and no key", shape)
    key: Key = tuple(int(word) if word.isdigit() else word for word in words)
    return Override(role, key, value, delete, text)


def _grammar_hint(text: str) -> str | None:
    _, equals, value = text.partition("=")
    if not equals:
        return "a value is missing: write KEY=VALUE, or ~KEY to take a key out"
    if re.search(r"[=:,{}()\[\]'\" ]", value):
        return f"quote the value: \"{text.partition('=')[0]}='{value}'\""
    return None


def apply_overrides(layers: Layers, overrides: Sequence[Override]) -> list[Finding]:
    """Lay overrides of one role over its files.

    A key is set whether or not it was there. Names go first, whatever the order on the command line:
    ``encoder.num_blocks=6 encoder.name=speech/transformer`` sets the new encoder's blocks.

    Returns:
        A finding for each override that does not apply.
    """
    findings = []
    ordered = sorted(
        overrides, key=lambda o: (o.key[-1] not in IDENTITY or o.delete, 0 if o.delete else len(o.key))
    )
    names = [override for override in ordered if override.key[-1] in IDENTITY and not override.delete]
    for override in [*names, *(override for override in overrides if override not in names)]:
        try:
            if override.delete:
                layers.delete(override.key)
            else:
                layers.set(override.key, override.value, COMMAND_LINE)
        except KeyError as error:
            message = f"there is no key {override.path}" if override.delete else str(error.args[0])
            hint = did_you_mean(dotted(override.key), known_keys(layers.data)) if override.delete else None
            findings.append(_problem(override.text, message, hint))
    return findings


def known_keys(node: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted keys of all mappings in a node."""
    found = []
    for name, value in node.items():
        found.append(f"{prefix}{name}")
        if isinstance(value, Mapping):
            found.extend(known_keys(value, f"{prefix}{name}."))
    return found
