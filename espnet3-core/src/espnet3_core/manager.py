"""Loads plugins one by one and keeps them apart: a broken one is set aside with its reason."""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from espnet3_core import hookspecs
from espnet3_core.discovery import Entry, Switches, distribution_version, installed_entries
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

HEAVY_MODULES = (
    "torch",
    "lightning",
    "hydra",
    "omegaconf",
    "pydantic",
    "numpy",
    "scipy",
    "transformers",
    "gradio",
)
LONGEST_IMPORT = 1.0
"""Seconds of processor time that a plugin's module and its hooks may take: every command waits for it."""


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be used.

    Attributes:
        entry: The plugin.
        step: What failed: ``version``, ``import``, ``hooks``, ``records`` or a hook's name.
        error: One line.
        hint: What to do.
        trace: Traceback, for ``espnet3 doctor``.
    """

    entry: Entry
    step: str
    error: str
    hint: str
    trace: str = ""

    def __str__(self) -> str:
        who = f"{self.entry.namespace} ({self.entry.distribution} {self.entry.version})"
        return f"plugin {who} is not usable: {self.step}: {self.error}"


@dataclass(frozen=True)
class LoadedPlugin:
    """A plugin in use.

    Attributes:
        entry: The plugin.
        module: Its module, or an object with hook implementations.
        seconds: Time its import took.
    """

    entry: Entry
    module: Any
    seconds: float = 0.0


@dataclass
class ImportCost:
    """What the code in a ``with`` block cost that every command runs, and whether that is too much.

    Attributes:
        seconds: Time that passed.
        cpu: Processor time, which a cold disk does not change.
        heavy: Heavy modules that were imported for the first time.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    heavy: tuple[str, ...] = ()

    def __enter__(self) -> ImportCost:
        self._absent = [name for name in HEAVY_MODULES if name not in sys.modules]
        self._start = time.perf_counter(), time.thread_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._start[0]
        self.cpu = time.thread_time() - self._start[1]
        self.heavy = tuple(name for name in self._absent if name in sys.modules)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Why the code is too heavy for a plugin module, as (error, hint)."""
        if self.heavy:
            error = f"importing it imports {', '.join(self.heavy)}, which every espnet3 command would pay for"
            return error, f"import {self.heavy[0]} where it is used: records name implementations as text"
        if self.cpu > LONGEST_IMPORT:
            error = f"importing it takes {self.cpu:.1f} s, which every espnet3 command would pay for"
            return error, "move the work into the functions that need it"
        return None


class PluginError(UserError):
    """A plugin failed and ``ESPNET3_STRICT_PLUGINS`` is set, or what failed is needed."""


@dataclass
class PluginManager:
    """The plugins of one process (or of one recipe), and calls to their hooks.

    Attributes:
        plugins: In use, in order of namespace.
        failures: Set aside.
        disabled: Switched off, with the reason.
    """

    plugins: list[LoadedPlugin] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    disabled: list[tuple[Entry, str]] = field(default_factory=list)
    strict: bool = False
    trace: bool = False
    _pluggy: pluggy.PluginManager = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._pluggy = pluggy.PluginManager("espnet3")
        self._pluggy.add_hookspecs(hookspecs)

    @classmethod
    def discover(
        cls, switches: Switches | None = None, entries: Sequence[Entry] | None = None
    ) -> PluginManager:
        """Load every installed plugin that the switches allow."""
        switches = switches or Switches.from_environment()
        manager = cls(strict=switches.strict, trace=switches.trace)
        for entry in installed_entries() if entries is None else entries:
            reason = switches.refuses(entry)
            if reason:
                manager.disabled.append((entry, reason))
                manager._say(f"{entry.namespace} ({entry.distribution}) is off: {reason}")
            else:
                manager.load(entry)
        return manager

    def load(self, entry: Entry) -> None:
        """Import one plugin; what goes wrong becomes a failure."""
        problem = version_problem(entry)
        if problem:
            self.fail(entry, "version", *problem)
            return
        try:
            with ImportCost() as cost:
                module = importlib.import_module(entry.module.partition(":")[0])
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self.fail(entry, "import", _line(error), _import_hint(entry, error))
            return
        if cost.problem:
            error_text, hint = cost.problem
            self.fail(entry, "import", error_text, f"{hint} ({author(entry)})")
            return
        self.register(LoadedPlugin(entry, module, cost.seconds))

    def register(self, plugin: LoadedPlugin) -> None:
        """Add a plugin's hooks, after checking their names and arguments."""
        known = [name for name in vars(hookspecs) if name.startswith("espnet3_")]
        unknown = [name for name in self._implementations(plugin.module) if name not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known, otherwise=f"hooks are: {', '.join(known)}")
            self.fail(
                plugin.entry, "hooks", f"there is no hook {unknown[0]!r}", f"{hint} ({author(plugin.entry)})"
            )
            return
        try:
            self._pluggy.register(plugin.module, name=f"{plugin.entry.distribution}:{plugin.entry.namespace}")
        except (pluggy.PluginValidationError, ValueError) as error:
            self._pluggy.unregister(plugin.module) if self._pluggy.is_registered(plugin.module) else None
            self.fail(
                plugin.entry,
                "hooks",
                _line(error),
                f"compare its arguments with espnet3_core.hookspecs ({author(plugin.entry)})",
            )
            return
        self.plugins.append(plugin)
        self._say(
            f"{plugin.entry.namespace} ({plugin.entry.distribution}) loaded in {plugin.seconds * 1e3:.0f} ms"
        )

    def remove(self, plugin: LoadedPlugin) -> None:
        """Take a plugin out of use."""
        self._pluggy.unregister(plugin.module)
        self.plugins.remove(plugin)

    def call(
        self, hook: str, *, only: LoadedPlugin | None = None, **arguments: Any
    ) -> list[tuple[LoadedPlugin, Any, BaseException | None]]:
        """Call a hook on each plugin by itself, or on one: (plugin, result, error) in plugin order."""
        outcomes: list[tuple[LoadedPlugin, Any, BaseException | None]] = []
        for plugin in [only] if only else list(self.plugins):
            if not hasattr(plugin.module, hook):
                continue
            others = [other.module for other in self.plugins if other is not plugin]
            caller = self._pluggy.subset_hook_caller(hook, others)
            try:
                result = caller(**arguments)
                for value in result if isinstance(result, list) else [result]:
                    # A collecting hook may be a generator: run it here, where its errors are its own.
                    lazy = isinstance(value, Iterable) and not isinstance(value, str | dict)
                    outcomes.append(
                        (plugin, list(value) if lazy and not hasattr(value, "__len__") else value, None)
                    )
            except Exception as error:
                outcomes.append((plugin, None, error))
        return outcomes

    def fail(self, entry: Entry, step: str, error: str, hint: str = "") -> None:
        """Set a plugin aside."""
        trace = traceback.format_exc() if sys.exc_info()[0] else ""
        failure = Failure(entry, step, error, hint, trace)
        self._say(str(failure))
        if self.strict:
            raise PluginError(str(failure), hint=hint) from sys.exc_info()[1]
        self.failures.append(failure)

    def _implementations(self, module: ModuleType | object) -> list[str]:
        names = []
        for name in dir(module):
            marked = self._pluggy.parse_hookimpl_opts(module, name) is not None
            if marked or (name.startswith("espnet3_") and _is_function(getattr(module, name))):
                names.append(name)
        return names

    def _say(self, text: str) -> None:
        if self.trace:
            print(f"[plugins] {text}", file=sys.stderr)


def version_problem(entry: Entry) -> tuple[str, str] | None:
    """Why an entry does not fit this core, as (error, hint); decided from metadata alone."""
    if entry.generation > 1:
        return (
            f"it is made for plugin API {entry.generation}: needs a newer espnet3-core",
            "pip install -U espnet3-core",
        )
    if entry.core_requirement:
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        version = distribution_version("espnet3-core") or "0"
        try:
            fits = SpecifierSet(entry.core_requirement).contains(version, prereleases=True)
        except InvalidSpecifier:
            return f"its requirement espnet3-core{entry.core_requirement} cannot be read", "ask its author"
        if not fits:
            newer = needs_newer_core(entry)
            return (
                f"it requires espnet3-core{entry.core_requirement}, and {version} is installed",
                f"pip install -U {'espnet3-core' if newer else entry.distribution}",
            )
    return None


def needs_newer_core(entry: Entry) -> bool:
    """Whether an entry that does not fit this core would fit a later one."""
    if entry.generation > 1:
        return True
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import Version

    version = Version(distribution_version("espnet3-core") or "0")
    try:
        asked = SpecifierSet(entry.core_requirement)
    except InvalidSpecifier:
        return False
    lowest = (item for item in asked if item.operator in (">", ">=", "~=", "=="))
    return any(Version(item.version.removesuffix(".*")) > version for item in lowest)


def author(entry: Entry) -> str:
    """Who can mend a plugin: the end of a hint."""
    return f"for the author of {entry.distribution}; espnet3 doctor shows the trace"


def _import_hint(entry: Entry, error: BaseException) -> str:
    missing = (error.name or "").partition(".")[0] if isinstance(error, ModuleNotFoundError) else ""
    if missing and missing != entry.module.partition(".")[0]:
        return f"pip install {missing}, which {entry.distribution} needs and should require"
    return f"pip install -U {entry.distribution}, or switch it off: ESPNET3_DISABLE_PLUGINS={entry.namespace}"


def _is_function(value: Any) -> bool:
    return isinstance(value, Callable) and not isinstance(value, type)  # type: ignore[arg-type]


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
