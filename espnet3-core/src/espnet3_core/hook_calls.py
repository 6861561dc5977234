"""The hooks that are called while a command works, of every plugin in turn."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espnet3_core.errors import Finding, UserError
from espnet3_core.manager import PluginError, PluginManager


class HookCalls:
    """Asks plugins; what they raise becomes a message with the plugin's name."""

    manager: PluginManager

    def check_config(self, config: Mapping[str, Any]) -> list[Finding]:
        """Findings of the plugins' own checks; one that raises is an error finding."""
        return self._findings("espnet3_check_config", config=config)

    def check_data(self, context: Any, split: Any, tokenizer: Any) -> list[Any]:
        """Findings of the plugins' own checks of data; one that raises is an error finding."""
        from espnet3_core.data.checking.findings import DataFinding

        found = self._findings("espnet3_check_data", context=context, split=split, tokenizer=tokenizer)
        return [
            DataFinding(kind="failed check", reason=entry.message, split=split.name, hint=entry.hint)
            if isinstance(entry, Finding)
            else entry
            for entry in found
        ]

    def before_publish(self, manifest: Mapping[str, Any]) -> list[Finding]:
        """Findings that may veto publishing."""
        return self._findings("espnet3_before_publish", manifest=manifest)

    def before_stage(self, context: Any) -> None:
        """Tell plugins that a stage starts; their errors stop the run."""
        self._notify("espnet3_before_stage", context)

    def after_stage(self, context: Any) -> None:
        """Tell plugins that a stage has succeeded; their errors stop the run."""
        self._notify("espnet3_after_stage", context)

    def resolve_source(self, uri: str) -> Any:
        """The dataset behind an address, from the first plugin that knows it.

        Raises:
            UserError: No plugin knows the scheme, or the one that does fails.
        """
        for plugin, result, error in self.manager.call("espnet3_resolve_source", uri=uri):
            if error is not None:
                raise PluginError(
                    f"{uri}: plugin {plugin.entry.namespace} could not open it: {error}",
                    hint="espnet3 doctor shows the state of every plugin",
                ) from error
            if result is not None:
                return result
        scheme = uri.partition("://")[0]
        raise UserError(
            f"{uri}: no installed plugin reads {scheme}:// addresses", hint=f"pip install espnet3-{scheme}"
        )

    def fetch_bundle(self, uri: str, directory: Path) -> None:
        """Fill a folder with the bundle at an address, by the first plugin that knows it.

        Raises:
            UserError: No plugin knows the scheme, or the one that does fails.
        """
        for plugin, result, error in self.manager.call("espnet3_fetch_bundle", uri=uri, directory=directory):
            if isinstance(error, UserError):
                raise error
            if error is not None:
                raise PluginError(
                    f"{uri}: plugin {plugin.entry.namespace} could not fetch it: {error}",
                    hint="espnet3 doctor shows the state of every plugin",
                ) from error
            if result:
                return
        scheme = uri.partition("://")[0]
        package = {"hf": "espnet3-hub"}.get(scheme, f"espnet3-{scheme}")
        raise UserError(
            f"{uri}: no installed plugin fetches bundles from {scheme}:// addresses",
            hint=f"pip install {package}",
        )

    def write_demo(self, context: Any, directory: Path) -> None:
        """Fill a folder with a page for the experiment's bundle, by the first plugin that makes pages.

        Raises:
            UserError: No plugin does, or the one that does fails.
        """
        for plugin, result, error in self.manager.call(
            "espnet3_write_demo", context=context, directory=directory
        ):
            if isinstance(error, UserError):
                raise error
            if error is not None:
                raise PluginError(
                    f"plugin {plugin.entry.namespace} could not make the page: {error}",
                    hint="espnet3 doctor shows the state of every plugin",
                ) from error
            if result:
                return
        raise UserError("no installed plugin makes demo pages", hint="pip install espnet3-demo")

    def _notify(self, hook: str, context: Any) -> None:
        for plugin, _, error in self.manager.call(hook, context=context):
            if error is not None:
                raise PluginError(f"{hook} of plugin {plugin.entry.namespace} failed: {error}") from error

    def _findings(self, hook: str, **arguments: Any) -> list[Finding]:
        findings: list[Finding] = []
        for plugin, result, error in self.manager.call(hook, **arguments):
            if error is not None:
                message = f"{hook} of plugin {plugin.entry.namespace} failed: {type(error).__name__}: {error}"
                findings.append(Finding(message=message, hint="see espnet3 doctor"))
            else:
                findings.extend(result or ())
        return findings
