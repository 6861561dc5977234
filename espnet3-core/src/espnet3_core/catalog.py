"""All components by kind and name: what ``name:`` in a recipe resolves to."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from espnet3_core.discovery import Entry
from espnet3_core.errors import UserError
from espnet3_core.hook_calls import HookCalls
from espnet3_core.manager import Failure, ImportCost, LoadedPlugin, PluginError, PluginManager, author
from espnet3_core.names import Ref, closest, normalize_distribution
from espnet3_core.specs import (
    KINDS,
    CommandSpec,
    ComponentSpec,
    ExportSpec,
    Kind,
    ModuleSpec,
    RecipeTemplateSpec,
    SystemSpec,
    TransformSpec,
)

_TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
Spec = ComponentSpec | SystemSpec


class UnknownComponent(UserError):
    """No installed plugin provides this name."""


class AmbiguousComponent(UserError):
    """Two distributions provide this name."""


@dataclass(frozen=True)
class Registered:
    """A record together with who provides it.

    Attributes:
        kind: Name of its kind.
        spec: The record.
        provider: The plugin.
    """

    kind: str
    spec: Spec
    provider: Entry

    @property
    def name(self) -> str:
        """``namespace/ident``."""
        return self.spec.name

    @property
    def names(self) -> tuple[str, ...]:
        """The name and the former ones."""
        return (self.spec.name, *(alias.name for alias in self.spec.aliases))

    @property
    def role(self) -> str | None:
        """Role of a module, domain of a transform, or role of a callback."""
        if isinstance(self.spec, TransformSpec):
            return self.spec.domain
        return getattr(self.spec, "role", None)

    @property
    def qualified(self) -> str:
        """The name with its distribution, which is never ambiguous."""
        return f"{self.provider.distribution}:{self.spec.name}"

    def broken(self, step: str, error: str, hint: str | None = None) -> PluginError:
        """What to raise where this component cannot be used: as for a plugin that does not load.

        Args:
            step: ``target`` or ``config``.
            error: What is wrong with it.
            hint: What to do, where it is not for the plugin's author alone.
        """
        failure = Failure(self.provider, step, f"{self.name}: {error}", hint or author(self.provider))
        return PluginError(str(failure), hint=failure.hint)


class Catalog(HookCalls):
    """Components of a set of plugins.

    Args:
        manager: Loaded plugins; those that return a bad record are set aside.
        requires: Requirements that the recipe lists, for ``pip install`` hints.
    """

    def __init__(self, manager: PluginManager, requires: Sequence[str] = ()) -> None:
        self.manager = manager
        self.requires = tuple(requires)
        self._entries: dict[tuple[str, str], list[Registered]] = {}
        self._aliases: dict[tuple[str, str], tuple[str, str]] = {}
        for plugin in list(manager.plugins):
            self._collect(plugin)

    @classmethod
    def from_plugins(cls, plugins: Iterable[tuple[str, Any]]) -> Catalog:
        """A catalog of in-memory plugins, (namespace, object with hooks): nothing is discovered."""
        manager = PluginManager(strict=True)
        for namespace, module in plugins:
            manager.register(LoadedPlugin(memory_entry(namespace), module))
        return cls(manager)

    @property
    def failures(self) -> list[Failure]:
        """Plugins that were set aside."""
        return self.manager.failures

    def with_plugin(self, namespace: str, module: Any, *, requires: Sequence[str] = ()) -> Catalog:
        """This catalog and one more plugin, as a new catalog; for hooks of a single recipe."""
        manager = PluginManager(
            failures=list(self.manager.failures), disabled=list(self.manager.disabled), strict=True
        )
        for plugin in self.manager.plugins:
            manager.register(plugin)
        manager.register(LoadedPlugin(memory_entry(namespace), module))
        return Catalog(manager, requires or self.requires)

    def with_requires(self, requires: Sequence[str]) -> Catalog:
        """This catalog with a recipe's requirements, which serve as ``pip install`` hints."""
        other = object.__new__(Catalog)
        other.__dict__.update(self.__dict__)
        other.requires = tuple(requires)
        return other

    def components(self, kind: str | None = None, role: str | None = None) -> list[Registered]:
        """Components of a kind (or of all), sorted by name; ambiguous names stand once per provider."""
        return sorted(
            (
                entry
                for (entry_kind, _), entries in self._entries.items()
                for entry in entries
                if kind in (None, entry_kind) and role in (None, entry.role)
            ),
            key=lambda entry: (list(KINDS).index(entry.kind), entry.name, entry.provider.distribution),
        )

    def find(self, kind: str, name: str, role: str | None = None, path: str = "") -> Registered:
        """The component of a kind that a name stands for.

        Args:
            kind: A key of :data:`espnet3_core.specs.KINDS`.
            name: ``[distribution:]namespace/ident``.
            role: Role that the place asks for.
            path: Key path, for the message.

        Raises:
            UserError: No such component, several, or one of another role.
        """
        where = f"{path}: " if path else ""
        ref = Ref.parse(name, (entry.name for entry in self.components(kind, role)))
        entries = self._entries.get((kind, ref.name), [])
        if ref.distribution:
            wanted = normalize_distribution(ref.distribution)
            entries = [entry for entry in entries if entry.provider.distribution == wanted]
        if not entries and (kind, ref.name) in self._aliases:
            new, removed_in = self._aliases[kind, ref.name]
            found = self.find(kind, new, role, path)
            warnings.warn(
                f"{ref.name} is now {new}; {found.provider.distribution} {removed_in} removes the old name",
                FutureWarning,
                stacklevel=2,
            )
            return found
        if len(entries) > 1:
            raise AmbiguousComponent(
                f"{where}{kind} {ref.name!r} is provided by "
                + " and by ".join(f"{e.provider.distribution} {e.provider.version}" for e in entries),
                hint="write one of: " + ", ".join(entry.qualified for entry in entries),
            )
        if not entries:
            raise self._unknown(kind, ref, role, where)
        found = entries[0]
        if role is not None and found.role not in (None, role):
            others = ", ".join(entry.name for entry in self.components(kind, role))
            raise UnknownComponent(
                f"{where}{found.name} is a {found.role} {kind}, and a {role} is needed here",
                hint=f"{role}s are: {others or 'none is installed'}",
            )
        return found

    def _unknown(self, kind: str, ref: Ref, role: str | None, where: str) -> UserError:
        for failure in self.failures:
            if failure.entry.namespace == ref.namespace:
                return PluginError(f"{where}{ref.name} cannot be used: {failure}", hint=failure.hint)
        for entry, reason in self.manager.disabled:
            if entry.namespace == ref.namespace:
                return UnknownComponent(
                    f"{where}{ref.name}: plugin {entry.namespace} is switched off", hint=reason
                )
        namespaces = {plugin.entry.namespace for plugin in self.manager.plugins}
        if ref.namespace not in namespaces:
            near = closest(ref.namespace, namespaces)
            names = [entry.name for entry in self.components(kind)]
            if near and f"{near}/{ref.name.partition('/')[2]}" in names:
                hint = f"did you mean {near}/{ref.name.partition('/')[2]!s}?"
            else:
                hint = f"pip install {self.requirement_of(ref.namespace)}"
            return UnknownComponent(
                f"{where}no plugin {ref.namespace!r} is installed, so there is no {kind} {ref.name!r}",
                hint=hint,
            )
        elsewhere = [k for (k, n) in self._entries if n == ref.name]
        if elsewhere:
            return UnknownComponent(f"{where}{ref.name} is a {elsewhere[0]}, and a {kind} is needed here")
        names = [entry.name for entry in self.components(kind, role)]
        near = closest(ref.name, names)
        hint = f"did you mean {near}?" if near else f"installed: {', '.join(names) or 'none'}"
        return UnknownComponent(f"{where}there is no {kind} {ref.name!r}", hint=hint)

    def requirement_of(self, namespace: str) -> str:
        """What to install for a namespace: as the recipe lists it, else by the naming habit."""
        for requirement in self.requires:
            name = normalize_distribution(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])
            if name == f"espnet3-{namespace}".replace("_", "-"):
                return f"'{requirement}'" if re.search(r"[<>\[]", requirement) else requirement
        return f"espnet3-{namespace}".replace("_", "-")

    def commands(self) -> list[tuple[CommandSpec, Entry]]:
        """Verbs that plugins add, by name; the first plugin in order keeps a name."""
        found: dict[str, tuple[CommandSpec, Entry]] = {}
        for plugin, spec in self._records("espnet3_commands", CommandSpec):
            found.setdefault(spec.name, (spec, plugin.entry))
        return [found[name] for name in sorted(found)]

    def exports(self) -> list[ExportSpec]:
        """Formats that bundles are exported in, by system."""
        return [spec for _, spec in self._records("espnet3_exports", ExportSpec)]

    def recipe_templates(self) -> list[tuple[RecipeTemplateSpec, Entry]]:
        """Templates for ``espnet3 new recipe``."""
        return [(spec, plugin.entry) for plugin, spec in self._records("espnet3_recipes", RecipeTemplateSpec)]

    def config_paths(self) -> list[tuple[str, str]]:
        """Hydra search paths as (namespace, path)."""
        return [(plugin.entry.namespace, path) for plugin, path in self._records("espnet3_config_paths", str)]

    def _records(self, hook: str, record: type) -> Iterator[tuple[LoadedPlugin, Any]]:
        for plugin, result, error in self.manager.call(hook):
            if error is not None:
                self._set_aside(plugin, hook, f"{type(error).__name__}: {error}", error)
                continue
            values = [result] if isinstance(result, str) else list(result or ())
            wrong = next((value for value in values if not isinstance(value, record)), None)
            if wrong is not None:
                self._set_aside(plugin, hook, f"returned {wrong!r}, and {record.__name__} is expected")
                continue
            for value in values:
                yield plugin, value

    def _collect(self, plugin: LoadedPlugin) -> None:
        """Take one plugin's records of every kind, or none of them when one is bad."""
        records: list[Registered] = []
        with ImportCost() as cost:
            for kind in KINDS.values():
                for _, result, error in self.manager.call(kind.hook, only=plugin):
                    if error is not None:
                        self._set_aside(plugin, kind.hook, f"{type(error).__name__}: {error}", error)
                        return
                    for spec in result or ():
                        problem = record_problem(kind, spec, plugin.entry.namespace)
                        if problem:
                            self._set_aside(plugin, kind.hook, problem)
                            return
                        records.append(Registered(kind.name, spec, plugin.entry))
        if cost.problem and plugin.entry.module:
            self._set_aside(plugin, "records", cost.problem[0], hint=cost.problem[1])
            return
        names = [(record.kind, record.name) for record in records]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            self._set_aside(plugin, KINDS[twice[0]].hook, f"registers {twice[0]} {twice[1]!r} twice")
            return
        for record in records:
            self._entries.setdefault((record.kind, record.name), []).append(record)
            for alias in record.spec.aliases:
                self._aliases[record.kind, alias.name] = (record.name, alias.removed_in)

    def _set_aside(
        self,
        plugin: LoadedPlugin,
        step: str,
        error: str,
        cause: BaseException | None = None,
        hint: str = "mend it, or take it out",
    ) -> None:
        if plugin in self.manager.plugins:
            self.manager.remove(plugin)
        self.manager.fail(plugin.entry, step, error, f"{hint} ({author(plugin.entry)})")
        if cause is not None and self.manager.failures:
            import traceback

            trace = "".join(traceback.format_exception(cause))
            self.manager.failures[-1] = replace(self.manager.failures[-1], trace=trace)


def record_problem(kind: Kind, spec: Any, namespace: str) -> str | None:
    """What is wrong with a record, or None."""
    if not isinstance(spec, kind.record):
        return f"returned {spec!r}, and {kind.record.__name__} is expected"
    try:
        ref = Ref.parse(spec.name)
    except UserError as error:
        return error.message
    if ref.distribution or ref.namespace != namespace:
        return f"registers {spec.name!r}, but its namespace is {namespace!r}"
    if isinstance(spec, ComponentSpec):
        for label, target in (("target", spec.target), ("config", spec.config)):
            if target is not None and not _TARGET.fullmatch(target):
                return f"{spec.name}: {label} {target!r} is not of the form module:attribute"
    if isinstance(spec, ModuleSpec) and not spec.role:
        return f"{spec.name}: a module needs a role"
    return None


def memory_entry(namespace: str) -> Entry:
    """The entry of a plugin that is not installed: a recipe's own, or one in a test."""
    return Entry(namespace=namespace, module="", distribution=f"{namespace}-in-memory", version="0")


_current: ContextVar[Catalog | None] = ContextVar("espnet3_catalog", default=None)


@cache
def installed_catalog() -> Catalog:
    """The catalog of all installed plugins, made once per process; failures are told on stderr."""
    catalog = Catalog(PluginManager.discover())
    for failure in catalog.failures:
        print(f"espnet3: warning: {failure} -> {failure.hint}", file=sys.stderr)
    return catalog


def current_catalog() -> Catalog:
    """The catalog in force: that of the recipe being worked on, else all installed plugins."""
    return _current.get() or installed_catalog()


@contextmanager
def use_catalog(catalog: Catalog) -> Iterator[Catalog]:
    """Make a catalog the current one within a block."""
    token = _current.set(catalog)
    try:
        yield catalog
    finally:
        _current.reset(token)
