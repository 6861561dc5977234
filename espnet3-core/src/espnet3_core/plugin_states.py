"""Every installed plugin, and whether it is in use: for ``espnet3 plugin list`` and ``espnet3 doctor``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from espnet3_core.catalog import Catalog
from espnet3_core.discovery import Entry
from espnet3_core.manager import Failure, needs_newer_core

State = Literal["ok", "disabled", "failed", "needs newer core"]


@dataclass(frozen=True)
class PluginState:
    """One installed plugin.

    Attributes:
        entry: The plugin.
        state: Whether it is in use.
        components: Components that it provides.
        import_ms: Time that its import took, in milliseconds; None where it was not imported.
        why: Why it is not in use; empty where it is.
        hint: What to do about it.
    """

    entry: Entry
    state: State
    components: int = 0
    import_ms: float | None = None
    why: str = ""
    hint: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "namespace": self.entry.namespace,
            "distribution": self.entry.distribution,
            "version": self.entry.version,
            "api": self.entry.generation,
            "components": self.components,
            "import_ms": self.import_ms,
            "state": self.state,
            "why": self.why,
            "hint": self.hint,
        }


def plugin_states(catalog: Catalog) -> list[PluginState]:
    """The plugins that a catalog was made from, by namespace."""
    counts = Counter((item.provider.namespace, item.provider.distribution) for item in catalog.components())
    states = [
        PluginState(
            plugin.entry,
            "ok",
            counts[plugin.entry.namespace, plugin.entry.distribution],
            round(plugin.seconds * 1e3, 1),
        )
        for plugin in catalog.manager.plugins
    ]
    states += [
        PluginState(entry, "disabled", why=why, hint="change that variable to use it")
        for entry, why in catalog.manager.disabled
    ]
    states += [_failed(failure) for failure in catalog.failures]
    return sorted(states, key=lambda state: (state.entry.namespace, state.entry.distribution))


def _failed(failure: Failure) -> PluginState:
    newer = failure.step == "version" and needs_newer_core(failure.entry)
    why = f"{failure.step}: {failure.error}"
    return PluginState(failure.entry, "needs newer core" if newer else "failed", why=why, hint=failure.hint)
