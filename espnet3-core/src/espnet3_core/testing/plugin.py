"""What a plugin as a whole must offer: light, documented, and true to its records."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, NoReturn

import pytest

from espnet3_core.catalog import Registered, current_catalog
from espnet3_core.config.effective import defaults_of
from espnet3_core.config.fields import fields_of
from espnet3_core.config.schema import problems
from espnet3_core.errors import UserError
from espnet3_core.instantiate import locate, parameters_of
from espnet3_core.manager import HEAVY_MODULES, LoadedPlugin
from espnet3_core.specs import ComponentSpec
from espnet3_core.testing.conformance import Conformance
from espnet3_core.testing.fresh import echo, in_fresh_process


class PluginConformance:
    """Everything that holds for all components of a plugin.

    Attributes:
        namespace: Name of its entry point.
        import_seconds: CPU seconds that importing its module may take.
        heavy: Modules that it may not import.
        complete: The test module has a class for every component that the plugin registers.
    """

    namespace: ClassVar[str] = ""
    import_seconds: ClassVar[float] = 0.1
    heavy: ClassVar[Sequence[str]] = HEAVY_MODULES
    complete: ClassVar[bool] = False

    def plugin(self) -> LoadedPlugin:
        """The plugin in the current catalog."""
        manager = current_catalog().manager
        for plugin in manager.plugins:
            if plugin.entry.namespace == self.namespace:
                return plugin
        for failure in current_catalog().failures:
            if failure.entry.namespace == self.namespace:
                pytest.fail(f"{failure}\n  -> {failure.hint}\n{failure.trace}", pytrace=False)
        there = ", ".join(sorted(plugin.entry.namespace for plugin in manager.plugins))
        pytest.fail(
            f"no plugin with the namespace {self.namespace!r} is installed; there are {there}\n"
            "  -> pip install -e . installs it; its pyproject.toml names it in "
            '[project.entry-points."espnet3.v1"]',
            pytrace=False,
        )

    def components(self) -> list[Registered]:
        """What the plugin registers."""
        plugin = self.plugin()
        return [entry for entry in current_catalog().components() if entry.provider == plugin.entry]

    def test_it_is_installed_and_loads(self) -> None:
        """Without a failure, and registers something."""
        plugin = self.plugin()
        hooks = [name for name in dir(plugin.module) if name.startswith("espnet3_")]
        if not hooks:
            _fail(self.namespace, "it implements no hook", "espnet3_core.hookspecs lists them, with examples")
        self.components()

    def test_its_import_is_light(self) -> None:
        """In a fresh process: no heavy module, and little time."""
        entry = self.plugin().entry
        if not entry.module:
            pytest.skip("a plugin in memory is not imported")
        command = [sys.executable, "-m", "espnet3_core.testing.importing"]
        command += [entry.module, self.namespace, *self.heavy]
        path = os.pathsep.join(filter(None, sys.path))
        runs = [
            json.loads(
                subprocess.run(
                    command,
                    env={**os.environ, "PYTHONPATH": path},
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout.splitlines()[-1]
            )
            for _ in range(2)
        ]
        steps = {
            "module": f"importing {entry.module}",
            "records": "collecting its records",
            "configs": "importing its configurations",
        }
        for step, text in steps.items():
            if runs[0][step]:
                _fail(
                    self.namespace,
                    f"{text} imports {', '.join(runs[0][step])}",
                    "name implementations as strings, and keep configuration dataclasses in modules that "
                    "import nothing heavy: espnet3 list and espnet3 check read them all",
                )
        seconds = min(run["seconds"] for run in runs)
        if seconds > self.import_seconds:
            _fail(
                self.namespace,
                f"importing {entry.module} takes {seconds:.2f} s of CPU time, and {self.import_seconds} s is "
                "allowed",
                "import inside the functions that need it; python -X importtime shows what is slow",
            )

    def test_targets_resolve(self) -> None:
        """Each implementation can be imported, and takes its configuration."""
        for spec in self._implemented():
            target = _located(spec, spec.target)
            if not callable(target):
                _fail(spec.name, f"{spec.target} cannot be called", "name a class or a function")
            names = [parameter.name for parameter in parameters_of(target) or ()]
            if spec.config and names and names[0] not in ("config", "args"):
                _fail(
                    spec.name,
                    f"{spec.target} takes {names[0]!r} first",
                    "a component is built as target(config, **needs): its first parameter is `config`",
                )

    def test_default_options_are_valid(self) -> None:
        """Each configuration is a dataclass whose defaults pass its own checks."""
        for spec in self._implemented():
            if spec.config is None:
                continue
            schema = _located(spec, spec.config)
            if not (isinstance(schema, type) and dataclasses.is_dataclass(schema)):
                _fail(spec.name, f"{spec.config} is no dataclass", "write @dataclass(kw_only=True)")
            required = {field.name for field in fields_of(schema) if field.default is None}
            findings = [
                finding
                for finding in problems(schema, defaults_of(schema), spec.name)
                if (finding.key or "").rpartition(".")[2] not in required
            ]
            if findings:
                _fail(spec.name, f"its defaults are not valid: {findings[0]}", "mend default or annotation")

    def test_everything_is_documented(self) -> None:
        """Each component has a summary, and each of its options a docstring below it."""
        for entry in self.components():
            if not entry.spec.summary:
                _fail(entry.name, "it has no summary", 'add summary="…" to its record, for espnet3 list')
        for spec in self._implemented():
            if spec.config is None:
                continue
            bare = [f.name for f in fields_of(_located(spec, spec.config)) if not f.doc.strip()]
            if bare:
                _fail(
                    spec.name,
                    f"{spec.config} says nothing about {', '.join(bare)}",
                    "write a docstring on the line below each field: espnet3 show prints it",
                )

    def test_records_survive_spawned_processes(self) -> None:
        """Records are sent to workers and come back equal."""
        records = [entry.spec for entry in self.components()]
        try:
            returned = in_fresh_process(echo, records)
        except Exception as error:
            _fail(
                self.namespace,
                f"its records cannot be sent to a process: {error}",
                "records hold plain strings; name functions and classes as module:attribute",
            )
        if returned != records:
            _fail(
                self.namespace, "its records come back from a process changed", "use the records as they are"
            )

    def test_every_component_is_tested(self, request: pytest.FixtureRequest) -> None:
        """With ``complete``: the test module has a conformance class for each component."""
        if not self.complete:
            pytest.skip("the class does not say that its module is complete")
        classes = [value for value in vars(request.module).values() if isinstance(value, type)]
        tested = {(c.kind, c.name) for c in classes if issubclass(c, Conformance) and c.name}
        missing = [f"{e.kind} {e.name}" for e in self.components() if (e.kind, e.name) not in tested]
        if missing:
            _fail(
                self.namespace,
                f"nothing in {request.module.__name__} tests {', '.join(missing)}",
                "add a class that inherits the conformance class of the kind",
            )

    def _implemented(self) -> Iterator[ComponentSpec]:
        for entry in self.components():
            if isinstance(entry.spec, ComponentSpec):
                yield entry.spec


def _located(spec: ComponentSpec, target: str) -> Any:
    try:
        return locate(target, spec.name)
    except UserError as error:
        _fail(spec.name, error.message, error.hint or "compare the record with the module")


def _fail(name: str, problem: str, remedy: str) -> NoReturn:
    pytest.fail(f"{name}: {problem}\n  -> {remedy}", pytrace=False)
