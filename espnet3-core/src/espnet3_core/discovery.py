"""Which plugins are installed: read from metadata, nothing of theirs imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from espnet3_core.names import normalize_distribution

GROUP = "espnet3.v1"
_GENERATION = re.compile(r"espnet3\.v(\d+)")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One plugin as its distribution declares it.

    Attributes:
        namespace: Name of the entry point.
        module: Import path of the plugin module.
        distribution: Name of the distribution (canonical spelling).
        version: Version of the distribution.
        generation: Number in the entry-point group, 1 for ``espnet3.v1``.
        core_requirement: Its ``Requires-Dist: espnet3-core`` range, or empty.
    """

    namespace: str
    module: str
    distribution: str
    version: str
    generation: int = 1
    core_requirement: str = ""


@dataclass(frozen=True)
class Switches:
    """Which plugins may be loaded, decided before any of them is imported.

    Attributes:
        disabled: Namespaces or distributions; ``all`` disables every plugin but core's own.
        allowed: When not None, only these.
        strict: A failing plugin raises instead of being set aside.
        trace: Print what is loaded, on stderr.
    """

    disabled: frozenset[str] = frozenset()
    allowed: frozenset[str] | None = None
    strict: bool = False
    trace: bool = False

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Switches:
        """Read ``ESPNET3_PLUGINS`` and ``ESPNET3_{DISABLE,STRICT,TRACE}_PLUGINS``."""
        allowed = environ.get("ESPNET3_PLUGINS")
        return cls(
            disabled=_words(environ.get("ESPNET3_DISABLE_PLUGINS", "")),
            allowed=None if allowed is None else _words(allowed),
            strict=environ.get("ESPNET3_STRICT_PLUGINS", "") not in ("", "0"),
            trace=environ.get("ESPNET3_TRACE_PLUGINS", "") not in ("", "0"),
        )

    def refuses(self, entry: Entry) -> str | None:
        """Why an entry is switched off, or None. Core's own components always load."""
        if entry.distribution == "espnet3-core":
            return None
        names = {entry.namespace, entry.distribution}
        if self.allowed is not None and not names & self.allowed:
            return "not in ESPNET3_PLUGINS"
        if "all" in self.disabled:
            return "ESPNET3_DISABLE_PLUGINS=all"
        if names & self.disabled:
            return "in ESPNET3_DISABLE_PLUGINS"
        return None


def _words(text: str) -> frozenset[str]:
    return frozenset(word.strip() for word in text.split(",") if word.strip())


def installed_entries() -> list[Entry]:
    """Entries of all installed plugins, sorted by namespace and distribution."""
    import importlib_metadata

    entries: dict[tuple[str, str], Entry] = {}
    seen: set[str] = set()
    for distribution in importlib_metadata.distributions():
        name = distribution.metadata["Name"] if _mentions_espnet3(distribution) else None
        if not name or (name := normalize_distribution(name)) in seen:
            continue
        seen.add(name)
        requirement = core_requirement(distribution.requires or ())
        for point in distribution.entry_points:
            match = _GENERATION.fullmatch(point.group)
            if match:
                entries[point.name, name] = Entry(
                    namespace=point.name,
                    module=point.value,
                    distribution=name,
                    version=distribution.version,
                    generation=int(match[1]),
                    core_requirement=requirement,
                )
    return [entries[key] for key in sorted(entries)]


def _mentions_espnet3(distribution: object) -> bool:
    """Whether the raw entry points name our group: parsing all metadata would cost more than all else."""
    text = distribution.read_text("entry_points.txt")  # type: ignore[attr-defined]
    return bool(text) and "espnet3.v" in text


def core_requirement(requirements: Iterable[str]) -> str:
    """The version range of espnet3-core among a distribution's requirements, extras left out.

    A direct reference (``espnet3-core @ git+https://…``) has none.
    """
    for text in requirements:
        head, _, marker = text.partition(";")
        match = re.match(r"\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^)]*)\)?", head)
        if match and "extra" not in marker and normalize_distribution(match[1]) == "espnet3-core":
            return "" if match[2].startswith("@") else match[2].strip()
    return ""


@cache
def distribution_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    import importlib_metadata

    try:
        return str(importlib_metadata.version(name))
    except importlib_metadata.PackageNotFoundError:
        return None
