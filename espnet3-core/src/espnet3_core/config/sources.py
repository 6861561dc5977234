"""What a module defines, read from its source: nothing is imported, neither torch nor the module itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

_DYNAMIC_CALLS = ("globals(", "setattr(", "exec(", "vars(")


class Unknown(Exception):
    """The source does not tell; importing would."""


@dataclass(frozen=True)
class Definition:
    """A class, function or assigned expression, and the module it stands in."""

    module: str
    node: ast.AST


def find_module(name: str) -> ModuleSpec | None:
    """Where a module is, without importing it or its parents."""
    loaded = sys.modules.get(name)
    spec = getattr(loaded, "__spec__", None)
    if isinstance(spec, ModuleSpec):
        return spec
    parent, _, _ = name.rpartition(".")
    search: Sequence[str] | None = None
    if parent:
        above = find_module(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        search = list(above.submodule_search_locations)
    for finder in sys.meta_path:
        find_spec = getattr(finder, "find_spec", None)
        found = find_spec(name, search) if find_spec else None
        if isinstance(found, ModuleSpec):
            return found
    return None


def source_of(module: str) -> Path | None:
    """The Python file of a module, or None for an extension module, a namespace package or no module."""
    spec = find_module(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def tree_of(module: str) -> ast.Module:
    """The syntax tree of a module.

    Raises:
        Unknown: There is no source.
        SyntaxError: The source cannot be parsed.
    """
    path = source_of(module)
    if path is None or not path.is_file():
        raise Unknown(module)
    return _parse(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=256)
def _parse(path: Path, _stamp: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body and of the blocks in it that run when it runs."""
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
            yield from statements(statement.body)
            yield from statements(getattr(statement, "orelse", []))
            for handler in getattr(statement, "handlers", []):
                yield from statements(handler.body)


def absolute(statement: ast.ImportFrom, module: str) -> str:
    """The module that a ``from … import`` statement in ``module`` names."""
    if not statement.level:
        return statement.module or ""
    spec = find_module(module)
    package = module if spec is not None and spec.submodule_search_locations else module.rpartition(".")[0]
    for _ in range(statement.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{statement.module}" if statement.module else package


@dataclass
class _Bindings:
    """What the statements of a module say about one name: the last binding, and what may bind it unseen."""

    found: ast.stmt | None = None
    stars: list[str] = field(default_factory=list)
    dynamic: bool = False


def _bindings(module: str, name: str) -> _Bindings:
    seen = _Bindings()
    for statement in statements(tree_of(module).body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            seen.dynamic = seen.dynamic or statement.name == "__getattr__"
            bound = [statement.name]
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = list(
                _flat(statement.targets if isinstance(statement, ast.Assign) else [statement.target])
            )
            seen.dynamic = seen.dynamic or any(isinstance(target, ast.Subscript) for target in targets)
            bound = [target.id for target in targets if isinstance(target, ast.Name)]
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            bound = [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
            if isinstance(statement, ast.ImportFrom) and bound == ["*"]:
                seen.stars.append(absolute(statement, module))
        else:
            if isinstance(statement, ast.Expr):
                seen.dynamic = seen.dynamic or ast.unparse(statement).startswith(_DYNAMIC_CALLS)
            continue
        if name in bound:
            seen.found = statement
    return seen


def definition(module: str, name: str, _depth: int = 0) -> Definition:
    """What a name in a module stands for, following imports.

    Raises:
        LookupError: The module certainly defines no such name.
        Unknown: It cannot be told from the source.
    """
    if _depth > 12:
        raise Unknown(f"{module}.{name}")
    seen = _bindings(module, name)
    found = seen.found
    if found is None:
        return _elsewhere(module, name, seen.stars, seen.dynamic, _depth)
    if isinstance(found, (ast.Import, ast.ImportFrom)):
        return _imported(found, module, name, _depth)
    if isinstance(found, (ast.Assign, ast.AnnAssign)):
        if isinstance(found.value, (ast.Name, ast.Attribute)):
            return expression(module, found.value, _depth + 1)
        return Definition(module, found.value or found)
    return Definition(module, found)


def _flat(targets: Sequence[ast.expr]) -> Iterator[ast.expr]:
    """Targets of an assignment, those of ``a, b = …`` one by one."""
    for target in targets:
        if isinstance(target, (ast.Tuple, ast.List)):
            yield from _flat(target.elts)
        else:
            yield target


def _elsewhere(module: str, name: str, star: Sequence[str], dynamic: bool, depth: int) -> Definition:
    for other in reversed(star):
        try:
            return definition(other, name, depth + 1)
        except LookupError:
            continue
    if find_module(f"{module}.{name}") is not None:
        return Definition(f"{module}.{name}", tree_of(f"{module}.{name}"))
    if dynamic:
        raise Unknown(f"{module}.{name}")
    raise LookupError(f"{module} has no {name!r}")


def _imported(statement: ast.Import | ast.ImportFrom, module: str, name: str, depth: int) -> Definition:
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) != name:
            continue
        if isinstance(statement, ast.Import):
            target = alias.name if alias.asname else alias.name.partition(".")[0]
            return Definition(target, tree_of(target))
        source = absolute(statement, module)
        if source == module:
            return Definition(f"{module}.{alias.name}", tree_of(f"{module}.{alias.name}"))
        return definition(source, alias.name, depth + 1)
    raise LookupError(name)


def expression(module: str, node: ast.expr, _depth: int = 0) -> Definition:
    """What a name or dotted name used in a module stands for.

    Raises:
        LookupError: There is no such name.
        Unknown: It cannot be told from the source.
    """
    if isinstance(node, ast.Name):
        return definition(module, node.id, _depth)
    if isinstance(node, ast.Attribute):
        return member(expression(module, node.value, _depth), node.attr, _depth)
    raise Unknown(ast.unparse(node))


def member(owner: Definition, name: str, _depth: int = 0) -> Definition:
    """An attribute of a module or class."""
    if isinstance(owner.node, ast.Module):
        return definition(owner.module, name, _depth + 1)
    if isinstance(owner.node, ast.ClassDef):
        for statement in statements(owner.node.body):
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)) and statement.name == name:
                return Definition(owner.module, statement)
    raise Unknown(name)


def resolve(target: str) -> Definition:
    """What ``module:attribute`` or ``module.attribute`` stands for.

    Raises:
        LookupError: There is no such module or attribute.
        Unknown: It cannot be told from the source.
    """
    module, _, attributes = target.partition(":")
    words = attributes.split(".") if attributes else []
    if not words:
        parts = target.split(".")
        count = next((n for n in range(len(parts) - 1, 0, -1) if find_module(".".join(parts[:n]))), 0)
        if not count:
            raise LookupError(f"there is no module {'.'.join(parts[:-1]) or target!r}")
        module, words = ".".join(parts[:count]), parts[count:]
    elif find_module(module) is None:
        raise LookupError(f"there is no module {module!r}")
    found = definition(module, words[0])
    for word in words[1:]:
        found = member(found, word)
    return found


def names_in(module: str) -> list[str]:
    """Names that a module's source defines or imports, for a did-you-mean."""
    try:
        tree = tree_of(module)
    except (Unknown, SyntaxError):
        return []
    names: list[str] = []
    for statement in statements(tree.body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name for alias in statement.names if alias.name != "*"]
    return names
