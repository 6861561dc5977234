"""One value against one annotation: pydantic's strict rules, in the words of a configuration's author."""

from __future__ import annotations

import json
import typing
from functools import lru_cache
from typing import Any

from espnet3_core.config.fields import is_union, type_text
from espnet3_core.names import did_you_mean


class ValueProblem(Exception):
    """A value does not fit; ``hint`` says what would."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def checked_value(annotation: Any, value: Any) -> Any:
    """The value as its annotation wants it: an int becomes a float, a list a tuple, a string a path.

    Raises:
        ValueProblem: It does not fit.
    """
    from pydantic import ValidationError

    adapter = _adapter(annotation)
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        first = error
    # JSON has no tuples, paths or enumerations either: what may stand for them there may do so in YAML.
    try:
        return adapter.validate_json(json.dumps(value), strict=True)
    except (ValidationError, TypeError, ValueError):
        raise _problem(annotation, value, first) from None


@lru_cache(maxsize=1024)
def _adapter(annotation: Any) -> Any:
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))


def _problem(annotation: Any, value: Any, error: Any) -> ValueProblem:
    choices = literals(annotation)
    if choices:
        text = [str(choice) for choice in choices]
        legal = "one of " + ", ".join(text)
        hint = did_you_mean(value, text) if isinstance(value, str) else None
        return ValueProblem(f"expected {_alternatives(annotation, legal)}, got {shown(value)}", hint)
    details = error.errors(include_url=False)
    bound = next((item["msg"] for item in details if item["type"].startswith(("greater", "less"))), None)
    if bound:
        return ValueProblem(
            f"{bound[0].lower()}{bound[1:]}, got {value!r}".replace("input should", "it should")
        )
    hint = None
    if isinstance(value, str) and any(word in type_text(annotation) for word in ("int", "float", "bool")):
        hint = "write it without quotes" if _is_number(value) or value in ("true", "false") else None
    return ValueProblem(f"expected {type_text(annotation)}, got {shown(value)}", hint)


def _alternatives(annotation: Any, legal: str) -> str:
    others = [
        type_text(item)
        for item in (typing.get_args(annotation) if is_union(annotation) else ())
        if not literals(item)
    ]
    return " or ".join([legal, *others])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shown(value: Any) -> str:
    """A value for a message, with the name of its type."""
    text = repr(value)
    names = {dict: "mapping", list: "list", str: "str", type(None): "null"}
    if value is None:
        return "null"
    return (
        f"{text if len(text) <= 60 else text[:57] + '...'} ({names.get(type(value), type(value).__name__)})"
    )


def literals(annotation: Any) -> tuple[Any, ...]:
    """The values of the ``Literal`` types in an annotation."""
    if typing.get_origin(annotation) is typing.Literal:
        return typing.get_args(annotation)
    if is_union(annotation) or typing.get_origin(annotation) is typing.Annotated:
        return tuple(choice for item in typing.get_args(annotation)[:8] for choice in literals(item))
    return ()
