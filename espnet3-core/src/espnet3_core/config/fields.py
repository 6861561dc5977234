"""The fields of a configuration dataclass: types as text, defaults, and the docstrings under them."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.catalog import Registered


@dataclass(frozen=True)
class FieldInfo:
    """One configuration key.

    Attributes:
        name: The key.
        type: Its type as text: ``int or null``, ``encoder module``.
        default: Its default as text; None when the key is required.
        doc: The docstring under the field.
        nested: Schema of a group of keys (a dataclass, also inside a list), or None.
    """

    name: str
    type: str
    default: str | None
    doc: str
    nested: Any = None


def import_target(target: str) -> Any:
    """The object at ``module:attribute`` of a record.

    Raises:
        UserError: There is none.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UserError(f"{target}: {error}", hint="see espnet3 doctor") from error


def schema_of(registered: Registered) -> type | None:
    """The configuration dataclass of a component; None when it takes no options.

    Raises:
        PluginError: Its record names something that is not there, or no dataclass.
    """
    target = getattr(registered.spec, "config", None)
    if target is None:
        return None
    try:
        schema = import_target(target)
    except UserError as error:
        raise registered.broken("config", error.message) from error
    except Exception as error:
        raise registered.broken("config", f"{target}: {type(error).__name__}: {error}") from error
    if not isinstance(schema, type) or not dataclasses.is_dataclass(schema):
        raise registered.broken("config", f"{target} is no dataclass")
    return schema


def fields_of(schema: type) -> list[FieldInfo]:
    """Every key that a configuration dataclass takes, in order."""
    hints, docs = hints_of(schema), field_docs(schema)
    return [
        FieldInfo(
            field.name,
            type_text(hints[field.name]),
            default_text(field),
            docs.get(field.name, ""),
            nested_schema(hints[field.name]),
        )
        for field in dataclasses.fields(schema)
        if field.init
    ]


def nested_schema(annotation: Any) -> type | None:
    """The dataclass that an annotation names, also inside a union or a list; None for other types."""
    if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
        return None if issubclass(annotation, Component) else annotation
    found = (nested_schema(item) for item in typing.get_args(annotation))
    return None if slot_of(annotation) else next((item for item in found if item), None)


@lru_cache(maxsize=512)
def hints_of(schema: type) -> dict[str, Any]:
    """Resolved annotations, with ``Annotated`` kept."""
    return typing.get_type_hints(schema, include_extras=True)


@lru_cache(maxsize=512)
def field_docs(schema: type) -> dict[str, str]:
    """Docstring literals under the fields of a dataclass and of its bases."""
    docs: dict[str, str] = {}
    for owner in reversed(schema.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
        for statement, following in zip(body, body[1:], strict=False):
            if (
                isinstance(statement, ast.AnnAssign)
                and isinstance(statement.target, ast.Name)
                and isinstance(following, ast.Expr)
                and isinstance(following.value, ast.Constant)
                and isinstance(following.value.value, str)
            ):
                docs[statement.target.id] = inspect.cleandoc(following.value.value)
    return docs


def slot_of(annotation: Any) -> Slot | None:
    """The slot of ``Annotated[Component, Slot(…)]``."""
    if typing.get_origin(annotation) is typing.Annotated:
        return next((item for item in annotation.__metadata__ if isinstance(item, Slot)), None)
    return None


def is_union(annotation: Any) -> bool:
    """Whether an annotation is ``X | Y`` or ``Optional[X]``."""
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def type_text(annotation: Any) -> str:
    """An annotation as a user reads it."""
    slot = slot_of(annotation)
    if slot is not None:
        return str(slot)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return type_text(arguments[0])
    if is_union(annotation):
        return " or ".join(type_text(item) for item in arguments)
    if origin is typing.Literal:
        return " or ".join(repr(item) for item in arguments)
    if annotation in (type(None), None):
        return "null"
    if annotation is Any:
        return "any"
    if annotation is ...:
        return "..."
    name = getattr(origin or annotation, "__name__", None) or str(annotation)
    name = {"Sequence": "list", "Mapping": "dict"}.get(name, name)
    return f"{name}[{', '.join(type_text(item) for item in arguments)}]" if arguments else name


def default_of(field: dataclasses.Field[Any]) -> Any:
    """A field's default value, or ``dataclasses.MISSING``."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def default_text(field: dataclasses.Field[Any]) -> str | None:
    """A field's default as a user would write it; None when it has none."""
    value = default_of(field)
    if value is dataclasses.MISSING:
        return None
    return value_text(value)


def value_text(value: Any) -> str:
    """A default value as YAML flow style."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Component):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.to_node().items()) + "}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return "{}" if value == _plain_instance(type(value)) else value_text(dataclasses.asdict(value))
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {value_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    return str(value) if str(value) else "''"


def _plain_instance(schema: type) -> Any:
    try:
        return schema()
    except TypeError:
        return None
