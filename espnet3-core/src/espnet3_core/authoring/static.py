"""What can be told about a plugin from its files, without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from espnet3_core import hookspecs
from espnet3_core.authoring.layout import Layout, line_of
from espnet3_core.config.sources import statements
from espnet3_core.discovery import core_requirement, distribution_version, installed_entries
from espnet3_core.errors import Finding
from espnet3_core.manager import HEAVY_MODULES
from espnet3_core.names import did_you_mean
from espnet3_core.specs import KINDS

_HOOKS = [name for name in vars(hookspecs) if name.startswith("espnet3_")]
_RECORDS = {kind.record.__name__ for kind in KINDS.values()}


def static_findings(layout: Layout) -> list[Finding]:
    """Everything that is wrong, with ``file:line`` and what to change."""
    trees: dict[Path, ast.Module] = {}
    findings: list[Finding] = []
    for file in layout.files():
        try:
            trees[file] = ast.parse(file.read_text("utf-8"), str(file))
        except SyntaxError as error:
            findings.append(_finding(file, error.lineno or 1, f"{error.msg}", "mend the syntax"))
    findings += _requirement(layout)
    for file, tree in trees.items():
        if file.name == "__init__.py":
            findings += _init(file, tree)
        findings += _records(layout, file, tree, trees)
    start = layout.file_of(layout.module)
    if start in trees:
        findings += _hooks(start, trees[start])
    findings += _heavy(layout, trees)
    return findings


def _finding(file: Path, line: int, message: str, hint: str) -> Finding:
    return Finding(message=message, place=f"{file}:{line}", hint=hint)


def _requirement(layout: Layout) -> Iterator[Finding]:
    """The range of core that the package works with."""
    file, project = layout.directory / "pyproject.toml", layout.project.get("project", {})
    asked = core_requirement(project.get("dependencies", ()))
    if "dependencies" in project.get("dynamic", ()):
        entries = [entry for entry in installed_entries() if entry.namespace == layout.namespace]
        asked = entries[0].core_requirement if entries else ">0"
    version = distribution_version("espnet3-core") or "0.1"
    hint = (
        f'write "espnet3-core>={version},<{_next(version)}" in dependencies: others then get no broken plugin'
    )
    if not asked:
        line = line_of(file, "espnet3-core") if project.get("dependencies") else line_of(file, "[project]")
        yield _finding(file, line, "it requires no range of espnet3-core", hint)
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        fits = SpecifierSet(asked).contains(version, prereleases=True)
    except InvalidSpecifier:
        yield _finding(file, line_of(file, "espnet3-core"), f"{asked!r} is no range of versions", hint)
        return
    if not fits:
        message = f"it requires espnet3-core{asked}, and {version} is installed"
        yield _finding(file, line_of(file, "espnet3-core"), message, hint)


def _next(version: str) -> str:
    major, minor = version.split(".")[:2]
    return f"0.{int(minor) + 1}" if major == "0" else str(int(major) + 1)


def _init(file: Path, tree: ast.Module) -> Iterator[Finding]:
    """A package's ``__init__`` is imported with ``_plugin``, and with each single module."""
    for statement in tree.body:
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        docstring = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        lazy = isinstance(statement, ast.FunctionDef) and statement.name == "__getattr__"
        typing_only = isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test)
        names = {ast.unparse(item) for item in getattr(statement, "targets", ())}
        guard = isinstance(statement, ast.ImportFrom) and statement.module == "typing"
        if future or docstring or lazy or typing_only or guard or names == {"__all__"}:
            continue
        message = f"`{ast.unparse(statement).partition(chr(10))[0]}` runs whenever the plugin is looked for"
        yield _finding(
            file, statement.lineno, message, "leave __init__.py empty, or make it lazy (__getattr__)"
        )
        return


def _hooks(file: Path, tree: ast.Module) -> Iterator[Finding]:
    """Functions that look like hooks are hooks."""
    for statement in tree.body:
        if not isinstance(statement, ast.FunctionDef) or not statement.name.startswith("espnet3_"):
            continue
        name, line = statement.name, statement.lineno
        if name not in _HOOKS:
            hint = did_you_mean(name, _HOOKS, otherwise=f"hooks are: {', '.join(_HOOKS)}")
            yield _finding(file, line, f"there is no hook {name!r}", hint or "")
        elif not any("hookimpl" in ast.unparse(item) for item in statement.decorator_list):
            yield _finding(file, line, f"{name} is no hook without its mark", "write @hookimpl above it")


def _records(
    layout: Layout, file: Path, tree: ast.Module, trees: dict[Path, ast.Module]
) -> Iterator[Finding]:
    """Names in the plugin's namespace, and targets that are there, where a record has them as text."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or ast.unparse(node.func).rpartition(".")[2] not in _RECORDS:
            continue
        texts = {
            item.arg: (item.value.value, item.value.lineno)
            for item in node.keywords
            if item.arg and isinstance(item.value, ast.Constant) and isinstance(item.value.value, str)
        }
        name, line = texts.get("name", (f"{layout.namespace}/", node.lineno))
        if not name.startswith(f"{layout.namespace}/"):
            right = f"{layout.namespace}/{name.rpartition('/')[2]}"
            message = f"the name {name!r} is outside of the namespace {layout.namespace!r}"
            yield _finding(file, line, message, f"write {right!r}")
        for key in ("target", "config"):
            if key in texts and (problem := _absent(layout, texts[key][0], trees)):
                yield _finding(file, texts[key][1], f"{key} {problem[0]}", problem[1])


def _absent(layout: Layout, target: str, trees: dict[Path, ast.Module]) -> tuple[str, str] | None:
    """Why a target of the package's own does not resolve, as (problem, hint)."""
    module, colon, attribute = target.partition(":")
    if not colon:
        return f"{target!r} is not of the form module:attribute", "write package.module:Name"
    if module.partition(".")[0] != layout.package:
        return None
    file = layout.file_of(module)
    if file is None:
        return f"{target!r}: there is no module {module}", "mend the name, or write the module"
    if file not in trees:
        return None
    names = [name for statement in statements(trees[file].body) for name in _bound(statement)]
    if attribute.partition(".")[0] in [*names, "*"] or "*" in names:
        return None
    hint = did_you_mean(attribute, names, otherwise=f"{file} defines: {', '.join(names)}")
    return f"{target!r}: {module} has no {attribute!r}", hint or ""


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef)):
        return [statement.name]
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).partition(".")[0] for alias in statement.names]
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _heavy(layout: Layout, trees: dict[Path, ast.Module]) -> Iterator[Finding]:
    """Heavy imports in what every command imports, and in modules of configurations."""
    configs = {
        file
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "config" and isinstance(node.value, ast.Constant)
        if (file := layout.file_of(str(node.value.value).partition(":")[0])) is not None
    }
    reasons = {layout.file_of(layout.module): "every espnet3 command"}
    reasons |= {file: "espnet3 show and check" for file in sorted(configs) if file not in reasons}
    told: set[tuple[Path, int]] = set()
    for first, why in reasons.items():
        for file, line, name in _reached(layout, first, trees):
            if (file, line) not in told:
                told.add((file, line))
                message = f"it imports {name}, and {why} would wait for that"
                yield _finding(file, line, message, f"import {name} inside the functions that need it")


def _reached(
    layout: Layout, first: Path | None, trees: dict[Path, ast.Module]
) -> Iterator[tuple[Path, int, str]]:
    """Heavy imports at module level in a file and in the package's own files that it imports so."""
    seen: set[Path] = set()
    waiting = [first] if first is not None else []
    while waiting:
        file = waiting.pop()
        if file in seen or file not in trees:
            continue
        seen.add(file)
        for line, module in _imports(layout, file, trees[file]):
            top = module.partition(".")[0]
            if top in HEAVY_MODULES:
                yield file, line, top
            elif top == layout.package:
                own = layout.file_of(module) or layout.file_of(module.rpartition(".")[0])
                waiting += [own] if own is not None else []


def _imports(layout: Layout, file: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Modules that a file imports when it is imported."""
    parts = file.relative_to(layout.source).with_suffix("").parts
    package = parts[:-1]
    body = [s for s in tree.body if not (isinstance(s, ast.If) and "TYPE_CHECKING" in ast.unparse(s.test))]
    for statement in statements(body):
        if isinstance(statement, ast.Import):
            yield from ((statement.lineno, alias.name) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            above = package[: len(package) - statement.level + 1] if statement.level else ()
            base = ".".join([*above, *filter(None, [statement.module])])
            # `from package import module` names a module as often as it names something in one.
            yield from ((statement.lineno, f"{base}.{alias.name}") for alias in statement.names)
