"""Writes a plugin package: project file, records, components with tests, README, licence, CI."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from espnet3_core.authoring.identity import LICENSES, Identity
from espnet3_core.authoring.kinds import Part, parts_of
from espnet3_core.files import atomic_write_text, new_directory
from espnet3_core.recipe.template import filled
from espnet3_core.specs import KINDS

_TEMPLATES = files(__package__).joinpath("templates")


def create_package(
    name: str,
    kinds: Sequence[str],
    directory: Path | None = None,
    *,
    license: str = "apache-2.0",
    author: str = "",
) -> Path:
    """Write a package with one working component of each kind; the folder appears when it is complete.

    Args:
        name: Namespace of its components.
        kinds: Kinds of components.
        directory: Folder to make; ``espnet3-<name>`` when it is None.
        license: A key of :data:`espnet3_core.authoring.identity.LICENSES`.
        author: Who holds the copyright.

    Returns:
        The folder.

    Raises:
        UserError: The name cannot be had, a kind is unknown, or the folder is not empty. Nothing is written.
    """
    identity, parts = Identity(name, license, author), parts_of(kinds)
    folder = identity.directory(directory)
    with new_directory(folder) as work:
        write_frame(work, identity, parts, f"Components for espnet3: {', '.join(p.kind for p in parts)}")
        for part in parts:
            _write_part(work, identity, part)
    return folder


def write_frame(
    work: Path,
    identity: Identity,
    parts: Sequence[Part],
    summary: str,
    *,
    requires: Iterable[str] = (),
    own_hooks: Sequence[str] = (),
) -> None:
    """Write everything of a package but its components.

    Args:
        work: Folder of the package.
        identity: Its name.
        parts: Its components.
        summary: One line about it.
        requires: What it needs beside core and what the components need.
        own_hooks: Hooks that ``<package>/plugin.py`` implements.
    """
    wanted = [identity.core_requirement, *sorted({*requires, *(r for p in parts for r in p.requires)})]
    spelt = LICENSES[identity.license]
    values = {
        "namespace": identity.namespace,
        "package": identity.package,
        "distribution": identity.distribution,
        "summary": summary,
        "dependencies": "\n".join(f'    "{text}",' for text in wanted),
        "license": f'license = "{spelt}"\n' if spelt else "",
        "license_note": f"Licence: {spelt}." if spelt else "No licence is given: all rights are reserved.",
        "components": "\n".join(
            f"- {part.kind} `{identity.namespace}/{part.ident}`: {part.summary}" for part in parts
        ),
        "example": f"{identity.namespace}/{parts[0].ident}" if parts else f"{identity.namespace}/name",
    }
    source = work / "src" / identity.package
    for template, file in {
        "pyproject.toml.txt": "pyproject.toml",
        "README.md.txt": "README.md",
        "gitignore.txt": ".gitignore",
        "ci.yml.txt": ".github/workflows/tests.yml",
        "test_plugin.py.txt": "tests/test_plugin.py",
    }.items():
        _write(work / file, f"package/{template}", values)
    atomic_write_text(source / "__init__.py", "")
    atomic_write_text(source / "py.typed", "")
    atomic_write_text(source / "_plugin.py", plugin_module(identity, parts, own_hooks))
    if text := identity.license_text():
        atomic_write_text(work / "LICENSE", text)


def _write_part(work: Path, identity: Identity, part: Part) -> None:
    values = {
        "namespace": identity.namespace,
        "package": identity.package,
        "name": f"{identity.namespace}/{part.ident}",
        "component_summary": part.summary,
    }
    source = work / "src" / identity.package
    _write(source / f"{part.module}.py", f"kinds/{part.kind}/code.txt", values)
    if part.config is not None:
        _write(source / f"{part.module}_config.py", f"kinds/{part.kind}/config.txt", values)
    _write(work / "tests" / f"test_{part.module}.py", f"kinds/{part.kind}/test.txt", values)


def _write(file: Path, template: str, values: Mapping[str, Any]) -> None:
    text = _TEMPLATES.joinpath(*template.split("/")).read_text("utf-8")
    atomic_write_text(file, filled(text, values, f"template {template}"))


def plugin_module(identity: Identity, parts: Sequence[Part], own_hooks: Sequence[str] = ()) -> str:
    """The source of ``_plugin.py``.

    Args:
        identity: Names.
        parts: Components to register.
        own_hooks: Hooks of ``<package>/plugin.py``, which are added to these, or stand for themselves.
    """
    kinds = [kind for kind in KINDS if any(part.kind == kind for part in parts)]
    hooks = [KINDS[kind].hook for kind in kinds]
    also = [hook for hook in own_hooks if hook in hooks]
    kept = sorted(hook for hook in own_hooks if hook not in hooks)
    lines = [
        f'"""The plugin ``{identity.namespace}``: every espnet3 command imports this, so it stays light."""'
    ]
    lines += ["", "from __future__ import annotations", ""]
    if kinds:
        lines += ["from collections.abc import Iterable", "", "from espnet3_core import specs"]
        lines += ["from espnet3_core.hookspecs import hookimpl"]
    if also or kept:
        lines += ["", f"from {identity.package} import plugin as own" if also else ""]
        lines += [f"from {identity.package}.plugin import {', '.join(kept)}"] if kept else []
        lines += ["", f"__all__ = {kept!r}".replace("'", '"')] if kept else []
    for kind in kinds:
        of_kind = [part for part in parts if part.kind == kind]
        record = f"specs.{KINDS[kind].record.__name__}"
        lines += ["", "", "@hookimpl", f"def {KINDS[kind].hook}() -> Iterable[{record}]:"]
        lines += [f'    """What there is of kind {kind}."""']
        for part in of_kind:
            lines += textwrap.indent(_record(identity, part, record), "    ").splitlines()
        if KINDS[kind].hook in also:
            lines += [f"    yield from own.{KINDS[kind].hook}()"]
    return "\n".join(lines) + "\n"


def _record(identity: Identity, part: Part, record: str) -> str:
    """Statements that yield the record of a component."""
    if part.kind == "system":
        return f"from {identity.package}.{part.module} import {part.attribute}\n\nyield {part.attribute}"
    fields = {"name": f"{identity.namespace}/{part.ident}", **part.record}
    fields["target"] = f"{identity.package}.{part.module}:{part.attribute}"
    if part.config is not None:
        fields["config"] = f"{identity.package}.{part.module}_config:{part.config}"
    fields["summary"] = part.summary
    body = "".join(f"    {key}={_quoted(value)},\n" for key, value in fields.items())
    return f"yield {record}(\n{body})"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
