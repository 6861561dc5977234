"""What a module defines, read from its source: signatures without importing torch or the module itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.machinery import ModuleSpec
from pathlib import Path

_TRANSPARENT_BASES = {"object", "Generic", "Protocol", "ABC"}


class Unknown(Exception):
    """The source does not tell; importing would."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a callable.

    Attributes:
        name: Its name.
        required: It has no default.
        keyword_only: It stands after ``*``.
        annotation: Syntax tree of the annotation.
    """

    name: str
    required: bool
    keyword_only: bool = False
    annotation: ast.expr | None = None


@dataclass(frozen=True)
class Signature:
    """Parameters of a callable, without ``self``.

    Attributes:
        parameters: In order.
        open: It takes further keywords (``**kwargs``).
        module: Module whose names the annotations use.
    """

    parameters: tuple[Parameter, ...]
    open: bool = False
    module: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def needs(self) -> tuple[Parameter, ...]:
        """Keyword-only parameters: the runtime needs of a component."""
        return tuple(parameter for parameter in self.parameters if parameter.keyword_only)


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


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, (ast.If, ast.Try, ast.With)):
            yield from _statements(statement.body)
            yield from _statements(getattr(statement, "orelse", []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)


def absolute(statement: ast.ImportFrom, module: str) -> str:
    """The module that a ``from … import`` statement in ``module`` names."""
    if not statement.level:
        return statement.module or ""
    spec = find_module(module)
    package = module if spec is not None and spec.submodule_search_locations else module.rpartition(".")[0]
    for _ in range(statement.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{statement.module}" if statement.module else package


def definition(module: str, name: str, _depth: int = 0) -> Definition:
    """What a name in a module stands for, following imports.

    Raises:
        LookupError: The module certainly defines no such name.
        Unknown: It cannot be told from the source.
    """
    if _depth > 12:
        raise Unknown(f"{module}.{name}")
    tree = tree_of(module)
    star: list[str] = []
    found: ast.stmt | None = None
    dynamic = False
    for statement in _statements(tree.body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            dynamic = dynamic or statement.name == "__getattr__"
            if statement.name == name:
                found = statement
        elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            dynamic = dynamic or any(isinstance(target, ast.Subscript) for target in targets)
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                found = statement
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            for alias in statement.names:
                if alias.name == "*" and isinstance(statement, ast.ImportFrom):
                    star.append(absolute(statement, module))
                elif (alias.asname or alias.name.partition(".")[0]) == name:
                    found = statement
    if found is None:
        return _elsewhere(module, name, star, dynamic, _depth)
    if isinstance(found, (ast.Import, ast.ImportFrom)):
        return _imported(found, module, name, _depth)
    if isinstance(found, (ast.Assign, ast.AnnAssign)):
        if isinstance(found.value, (ast.Name, ast.Attribute)):
            return expression(module, found.value, _depth + 1)
        return Definition(module, found.value or found)
    return Definition(module, found)


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
        for statement in _statements(owner.node.body):
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


def signature_of(target: str) -> Signature:
    """The signature of a class or function, from its source.

    Raises:
        LookupError: There is no such module or attribute.
        Unknown: It cannot be told from the source.
    """
    return _signature(resolve(target), 0)


def _signature(found: Definition, depth: int) -> Signature:
    node = found.node
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        decorators = {ast.unparse(item).rpartition(".")[2] for item in node.decorator_list}
        return _of_arguments(node.args, found.module, bound="classmethod" in decorators)
    if isinstance(node, ast.Lambda):
        return _of_arguments(node.args, found.module, bound=False)
    if isinstance(node, ast.ClassDef) and depth < 12:
        return _of_class(found.module, node, depth)
    raise Unknown(found.module)


def _of_arguments(arguments: ast.arguments, module: str, *, bound: bool) -> Signature:
    ordered = [*arguments.posonlyargs, *arguments.args]
    first_default = len(ordered) - len(arguments.defaults)
    parameters = [
        Parameter(item.arg, index < first_default, False, item.annotation)
        for index, item in enumerate(ordered)
    ]
    parameters = parameters[1:] if bound else parameters
    parameters += [
        Parameter(item.arg, default is None, True, item.annotation)
        for item, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return Signature(tuple(parameters), arguments.kwarg is not None, module)


def _of_class(module: str, node: ast.ClassDef, depth: int) -> Signature:
    for method in ("__init__", "__new__"):
        # The last one counts: those before it may be overloads.
        for statement in reversed(list(_statements(node.body))):
            if isinstance(statement, ast.FunctionDef) and statement.name == method:
                return _of_arguments(statement.args, module, bound=True)
    bases = [base.value if isinstance(base, ast.Subscript) else base for base in node.bases]
    bases = [base for base in bases if ast.unparse(base).rpartition(".")[2] not in _TRANSPARENT_BASES]
    if any("dataclass" in ast.unparse(item) for item in node.decorator_list):
        if bases:
            raise Unknown(node.name)
        return _of_dataclass(module, node)
    if any(keyword.arg == "metaclass" for keyword in node.keywords) and not bases:
        raise Unknown(node.name)
    for base in bases:
        return _signature(expression(module, base), depth + 1)
    return Signature((), False, module)


def _of_dataclass(module: str, node: ast.ClassDef) -> Signature:
    keyword_only = any("kw_only=True" in ast.unparse(item) for item in node.decorator_list)
    parameters = []
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        if "ClassVar" in ast.unparse(item.annotation):
            continue
        if item.value is not None and "init=False" in ast.unparse(item.value):
            continue
        has_default = item.value is not None and not (
            ast.unparse(item.value).startswith("field(") and "default" not in ast.unparse(item.value)
        )
        parameters.append(Parameter(item.target.id, not has_default, keyword_only, item.annotation))
    return Signature(tuple(parameters), False, module)


def names_in(module: str) -> list[str]:
    """Names that a module's source defines or imports, for a did-you-mean."""
    try:
        tree = tree_of(module)
    except (Unknown, SyntaxError):
        return []
    names: list[str] = []
    for statement in _statements(tree.body):
        if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            names.append(statement.name)
        elif isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name for alias in statement.names if alias.name != "*"]
    return names
