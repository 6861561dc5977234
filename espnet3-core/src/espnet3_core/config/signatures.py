"""Signatures of classes and functions, read from their source."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from espnet3_core.config.sources import Definition, Unknown, expression, resolve, statements

_TRANSPARENT_BASES = {"object", "Generic", "Protocol", "ABC"}


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
        for statement in reversed(list(statements(node.body))):
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
