"""A catalog of plugins that exist in a test only."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, NoReturn

import pytest

from espnet3_core import _plugin as core_plugin
from espnet3_core import catalog as catalogs
from espnet3_core.catalog import Catalog, memory_entry, use_catalog
from espnet3_core.discovery import Entry, distribution_version
from espnet3_core.errors import UserError
from espnet3_core.hookspecs import hookimpl
from espnet3_core.manager import LoadedPlugin, PluginManager
from espnet3_core.specs import KINDS, ComponentSpec, SystemSpec


class MemoryCatalog:
    """Makes in-memory plugins the current catalog; see the fixture ``catalog``.

    Args:
        monkeypatch: Refuses the catalog of what is installed until the test is over.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalogs, "installed_catalog", _refuse)
        self._stack = ExitStack()
        self()

    def __call__(self, *plugins: Any, **named: Any) -> Catalog:
        """Replace the current catalog by core's components and these.

        Args:
            plugins: Objects with hooks (a module, for example), or records of components.
            named: Objects with hooks by namespace, for those that register no component.

        Raises:
            PluginError: A hook is misspelt, or a record is bad.
        """
        records = [plugin for plugin in plugins if isinstance(plugin, (ComponentSpec, SystemSpec))]
        modules = dict(named)
        for plugin in plugins:
            if not isinstance(plugin, (ComponentSpec, SystemSpec)):
                modules[_namespace_of(plugin)] = plugin
        modules |= plugins_of(*records)
        self.close()
        made = Catalog(_manager(modules))
        self._stack.enter_context(use_catalog(made))
        return made

    def close(self) -> None:
        """Make the catalog of before the current one again."""
        self._stack.close()


def _manager(modules: dict[str, Any]) -> PluginManager:
    manager = PluginManager(strict=True)
    version = distribution_version("espnet3-core") or "0"
    core = Entry(namespace="core", module=core_plugin.__name__, distribution="espnet3-core", version=version)
    manager.register(LoadedPlugin(core, core_plugin))
    for namespace, module in modules.items():
        manager.register(LoadedPlugin(memory_entry(namespace), module))
    return manager


def plugins_of(*records: ComponentSpec | SystemSpec) -> dict[str, Any]:
    """Records as plugins: an object with hooks for each of their namespaces."""
    found: dict[str, dict[str, list[Any]]] = {}
    for record in records:
        hook = next(kind.hook for kind in KINDS.values() if type(record) is kind.record)
        namespace = record.name.partition("/")[0]
        found.setdefault(namespace, {}).setdefault(hook, []).append(record)
    return {
        namespace: RecordsPlugin({hook: _hook(given) for hook, given in hooks.items()})
        for namespace, hooks in found.items()
    }


class RecordsPlugin:
    """An object with hooks; unlike a SimpleNamespace, pluggy can put it into sets."""

    def __init__(self, hooks: dict[str, Any]) -> None:
        vars(self).update(hooks)


def _hook(records: list[Any]) -> Any:
    def collect() -> list[Any]:
        return records

    return hookimpl(collect)


def _namespace_of(plugin: Any) -> str:
    """The namespace of a plugin's first component."""
    for kind in KINDS.values():
        for record in getattr(plugin, kind.hook, list)() or ():
            return str(record.name).partition("/")[0]
    raise UserError(
        f"{plugin!r} registers no component, so its namespace is not known",
        hint="name it: catalog(acme=plugin)",
    )


def _refuse() -> NoReturn:
    raise AssertionError(
        "the fixture `catalog` is in use, and something asks for the plugins that are installed; "
        "give the plugins that the test needs: catalog(plugin, …). Processes and threads that a test starts "
        "do not see its catalog"
    )
