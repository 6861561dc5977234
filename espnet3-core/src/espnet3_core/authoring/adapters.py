"""A plain class as a component: a dataclass of its options, and a function ``target(config, **needs)``.

What a recipe's YAML sets, and what the class has a default for, is an option; what the run provides and the
YAML leaves out is a need. The two are generated as source, so that the author can go on with them.
"""

from __future__ import annotations

import ast
import inspect
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from espnet3_core.config.fields import is_union
from espnet3_core.config.values import ValueProblem, checked_value
from espnet3_core.errors import UserError
from espnet3_core.instantiate import RESERVED

_NOT_SET = inspect.Parameter.empty


@dataclass
class Use:
    """How a recipe's configurations use one of its own classes.

    Attributes:
        target: ``src.module.Class``.
        kind: Kind of the place.
        role: Role of the place.
        nodes: Its keys, each time that it is chosen.
    """

    target: str
    kind: str
    role: str | None
    nodes: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def attribute(self) -> str:
        """Name of the class."""
        return self.target.rpartition(".")[2]

    @property
    def module(self) -> str:
        """Its module without ``src``."""
        return self.target.rpartition(".")[0].removeprefix("src").removeprefix(".")

    @property
    def ident(self) -> str:
        """Name of the component, without the namespace."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", self.attribute)
        return re.sub(r"_+", "_", words.lower()).strip("_")

    def why_not(self) -> str | None:
        """Why it must be chosen by import path still."""
        reserved = {key for node in self.nodes for key in node if key in RESERVED and key != "_target_"}
        if reserved:
            return f"{', '.join(sorted(reserved))} is set, which names do not take"
        if self.role == "module":
            return "training modules have no names"
        if self.kind == "scheduler" and any({"interval", "monitor"} & set(node) for node in self.nodes):
            return "interval or monitor is set, which only schedules chosen by import path take"
        return None


@dataclass(frozen=True)
class Option:
    """A field of the generated dataclass."""

    name: str
    type: str
    default: str | None
    doc: str
    parts: str = ""
    """``one`` or ``many`` when its value is a component, or a list of them."""


@dataclass(frozen=True)
class Adapter:
    """The source that makes a component of a class."""

    use: Use
    options: tuple[Option, ...]
    needs: Mapping[str, str]
    """By name, the default as source, or nothing."""
    summary: str

    @property
    def config(self) -> str:
        """Name of the dataclass."""
        return f"{self.use.attribute[0].upper()}{self.use.attribute[1:]}Config"

    def dataclass_source(self) -> str:
        """The dataclass of its options."""
        lines = ["@dataclass(kw_only=True)", f"class {self.config}:", f'    """{self.summary}"""', ""]
        for option in self.options:
            default = "" if option.default is None else f" = {option.default}"
            lines += [f"    {option.name}: {option.type}{default}", f'    """{option.doc}"""']
        return "\n".join(lines).rstrip()

    def function_source(self) -> str:
        """The function that builds it."""
        needs = [f"{name}: Any{f' = {text}' if text else ''}" for name, text in self.needs.items()]
        star = ", *, " if needs else ""
        passed = [f"{option.name}={self._value(option)}" for option in self.options]
        passed += [f"{name}={name}" for name in self.needs]
        lines = [f"def {self.use.ident}(config: configs.{self.config}{star}{', '.join(needs)}) -> Any:"]
        lines += [f'    """{self.summary}"""', f"    return {self.use.attribute}({', '.join(passed)})"]
        return "\n".join(lines)

    def _value(self, option: Option) -> str:
        given = ", ".join(f"{name}={name}" for name in self.needs)
        value = f"config.{option.name}"
        if option.parts == "many":
            return f"[part.build({given}) for part in {value}]"
        if not option.parts:
            return value
        built = f"{value}.build({given})"
        return f"None if {value} is None else {built}" if "None" in option.type else built


def adapter(use: Use, target: Any, provided: set[str], moved: set[str]) -> Adapter:
    """Read the signature of a class.

    Args:
        use: Where it is used.
        target: The class or function.
        provided: Names of needs that are provided in its place.
        moved: Import paths that get names of their own.

    Raises:
        UserError: A need is set in one configuration and left to the run in another.
    """
    options, needs, docs = [], {}, _argument_docs(target)
    parameters = inspect.signature(target).parameters
    hints = _hints(target)
    known = [p for p in parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    for parameter in known:
        name, values = parameter.name, [node[parameter.name] for node in use.nodes if parameter.name in node]
        if name in provided and values and len(values) < len(use.nodes):
            raise UserError(
                f"{use.target}: {name} is set in one configuration and left to the run in another",
                hint="set it in all of them, or in none",
            )
        if not values and (name in provided or parameter.default is _NOT_SET):
            needs[name] = "" if parameter.default is _NOT_SET else _literal(parameter.default) or "None"
        elif values or _literal(parameter.default) is not None:
            doc = docs.get(name, f"As {use.attribute} takes it.")
            options.append(_option(name, hints.get(name, Any), parameter.default, values, doc, moved))
    extra = {key for node in use.nodes for key in node if key not in parameters and key not in RESERVED}
    for name in sorted(extra):
        values = [node[name] for node in use.nodes if name in node]
        options.append(_option(name, Any, _NOT_SET, values, f"As {use.attribute} takes it.", moved))
    return Adapter(
        use, tuple(options), needs, _line(inspect.getdoc(target)) or f"{use.attribute} of a recipe."
    )


def _option(name: str, hint: Any, default: Any, values: Sequence[Any], doc: str, moved: set[str]) -> Option:
    text = None if default is _NOT_SET else _literal(default)
    parts = _parts(values)
    if parts:
        inner = [node for value in values for node in (value if isinstance(value, list) else [value])]
        targets = {node["_target_"] for node in inner if isinstance(node, Mapping)}
        kind = f'Annotated[Component, Slot("module", "{name}")]' if targets & moved else "Component"
        if parts == "many":
            empty = None if text is None else "field(default_factory=list)"
            return Option(name, f"list[{kind}]", empty, doc, parts)
        return Option(name, f"{kind} | None" if text == "None" else kind, text, doc, parts)
    annotation = _plain(hint)
    seen = values if default is _NOT_SET else [*values, default]
    if annotation is None or not all(_fits(hint, value) for value in seen):
        annotation = _inferred(seen)
    if text and text[0] in "[{(":
        text = f"field(default_factory=lambda: {text})"
    return Option(name, annotation, text, doc)


def _parts(values: Sequence[Any]) -> str:
    if any(isinstance(value, Mapping) and "_target_" in value for value in values):
        return "one"
    lists = [value for value in values if isinstance(value, list) and value]
    is_part = [isinstance(item, Mapping) and "_target_" in item for value in lists for item in value]
    return "many" if is_part and all(is_part) else ""


def _hints(target: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except Exception:  # whatever an annotation names, it is a comfort only
        return {}


def _plain(hint: Any) -> str | None:
    """An annotation as source, when it needs no import; None for others."""
    if hint in (int, float, str, bool):
        return str(hint.__name__)
    if hint in (None, type(None)):
        return "None"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    inner = [_plain(argument) for argument in arguments]
    if None in inner or not arguments:
        return None
    if is_union(hint):
        return " | ".join(str(item) for item in inner)
    if origin in (list, dict, tuple):
        return f"{origin.__name__}[{', '.join(str(item) for item in inner)}]"
    return None


def _fits(hint: Any, value: Any) -> bool:
    try:
        checked_value(hint, value)
    except ValueProblem:
        return False
    return True


def _inferred(values: Sequence[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    optional = " | None" if None in values else ""
    if kinds and kinds <= {int, float}:
        return ("float" if float in kinds else "int") + optional
    spelt = {bool: "bool", str: "str", list: "list[Any]", dict: "dict[str, Any]"}
    return spelt[kinds.pop()] + optional if len(kinds) == 1 and kinds <= set(spelt) else "Any"


def _literal(value: Any) -> str | None:
    """A default as source; None where that is not possible."""
    text = repr(value)
    try:
        return text if value is not _NOT_SET and ast.literal_eval(text) == value else None
    except (ValueError, SyntaxError, TypeError):
        return None


def _argument_docs(target: Any) -> dict[str, str]:
    """Google-style descriptions of arguments."""
    texts = [inspect.getdoc(target) or "", inspect.getdoc(getattr(target, "__init__", None)) or ""]
    found: dict[str, str] = {}
    for text in texts:
        _, _, arguments = text.partition("Args:\n")
        for match in re.finditer(r"^ +(\w+)(?: \([^)]*\))?: (.+)$", arguments, re.MULTILINE):
            found.setdefault(match[1], _line(match[2]))
    return found


def _line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0].replace("\\", "\\\\").replace('"', "'")
