"""Configuration nodes against the dataclasses that describe them: every problem at once, with its key path.

Structure (unknown and missing keys, nested dataclasses, components in slots) is walked here, because a
component's schema is only known from the catalog; single values are pydantic's, in strict mode.
"""

from __future__ import annotations

import dataclasses
import typing
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from espnet3_core.component import Component, Slot
from espnet3_core.config.fields import (
    FieldInfo,
    default_of,
    field_docs,
    fields_of,
    hints_of,
    import_target,
    is_union,
    schema_of,
    slot_of,
    type_text,
)
from espnet3_core.config.layers import IDENTITY, merged
from espnet3_core.config.roles import InitConfig
from espnet3_core.config.values import ValueProblem, checked_value, shown
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.names import did_you_mean

__all__ = ["FieldInfo", "Part", "Report", "examine", "field_docs", "fields_of", "import_target", "problems"]
__all__ += ["validate"]

_LISTS = (list, tuple, set, frozenset, Sequence)
_DICTS = (dict, Mapping)


class _Invalid:
    """Stands for a value that has been reported."""


_INVALID = _Invalid()


@dataclass(frozen=True)
class Part:
    """A component that a configuration chooses.

    Attributes:
        component: With slot and path.
        record: Its record, None for ``_target_`` and for unknown names.
        above: The components that it is nested in, outermost first.
    """

    component: Component
    record: Any
    above: tuple[Part, ...] = ()


@dataclass
class Report:
    """What examining a node found.

    Attributes:
        instance: The schema's dataclass, or None when something is wrong.
        findings: Problems, with keys and without places.
        warnings: What is worth telling and stops nothing, such as a name that is about to go.
        parts: Components chosen, nested ones included (only those that a deep examination reached).
    """

    instance: Any
    findings: list[Finding] = field(default_factory=list)
    warnings: list[Finding] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)


def validate(schema: type | str, node: Mapping[str, Any], path: str = "") -> Any:
    """A configuration dataclass from a plain node; nested components are checked when they are built.

    Args:
        schema: The dataclass, or ``module:Dataclass``.
        node: Plain mapping.
        path: Key path of the node, for messages.

    Raises:
        CheckFailed: Any problem; all of them are listed.
    """
    report = examine(schema, node, path, deep=False)
    if report.findings:
        raise CheckFailed(report.findings)
    return report.instance


def problems(schema: type | str, node: Mapping[str, Any], path: str = "") -> list[Finding]:
    """All problems of a node, those of nested components included."""
    return examine(schema, node, path).findings


def examine(schema: type | str, node: Mapping[str, Any], path: str = "", *, deep: bool = True) -> Report:
    """Check a node and make its dataclass; ``deep`` follows components through the catalog."""
    walk = _Walk(deep)
    instance = walk.dataclass(import_target(schema) if isinstance(schema, str) else schema, node, path)
    return Report(
        None if isinstance(instance, _Invalid) else instance, walk.findings, walk.warnings, walk.parts
    )


@lru_cache(maxsize=1024)
def _structural(annotation: Any) -> bool:
    """Whether an annotation contains components or dataclasses, which are walked here."""
    if slot_of(annotation) is not None or annotation is Component or dataclasses.is_dataclass(annotation):
        return True
    return any(_structural(item) for item in typing.get_args(annotation) if isinstance(item, typing.Hashable))


class _Walk:
    def __init__(self, deep: bool) -> None:
        self.deep = deep
        self.findings: list[Finding] = []
        self.warnings: list[Finding] = []
        self.parts: list[Part] = []
        self.above: tuple[Part, ...] = ()

    def report(self, key: str, message: str, hint: str | None = None) -> _Invalid:
        self.findings.append(Finding(message=message, key=key or None, hint=hint))
        return _INVALID

    def value(self, annotation: Any, node: Any, key: str, default: Any = dataclasses.MISSING) -> Any:
        """A value of any annotation; ``default`` is the field's, which component nodes build upon."""
        slot = slot_of(annotation)
        if slot is not None or annotation is Component:
            return self.component(slot, node, key, default)
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is typing.Annotated and _structural(arguments[0]):
            return self.value(arguments[0], node, key, default)
        if is_union(annotation) and _structural(annotation):
            return self.value(self._branch(arguments, node), node, key, default)
        if isinstance(annotation, type) and dataclasses.is_dataclass(annotation):
            return self.dataclass(annotation, node, key, default)
        if origin in _LISTS and arguments:
            return self.items(annotation, node, key)
        if origin in _DICTS and len(arguments) == 2:
            return self.mapping(annotation, node, key)
        try:
            return checked_value(annotation, node)
        except ValueProblem as problem:
            return self.report(key, str(problem), problem.hint)

    @staticmethod
    def _branch(members: tuple[Any, ...], node: Any) -> Any:
        """The member of a union that a value's shape asks for."""
        if node is None and type(None) in members:
            return type(None)
        members = tuple(member for member in members if member is not type(None))
        for member in members:
            is_list = typing.get_origin(member) in _LISTS
            is_map = not is_list and (_structural(member) or typing.get_origin(member) in _DICTS)
            if isinstance(node, (list, tuple)) and is_list:
                return member
            if isinstance(node, (Mapping, Component)) and is_map:
                return member
        scalars = tuple(member for member in members if not _structural(member))
        return typing.Union[scalars] if scalars and len(members) > 1 else members[0]  # noqa: UP007

    def items(self, annotation: Any, node: Any, key: str) -> Any:
        """A list, tuple or sequence, item by item."""
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if not isinstance(node, (list, tuple)):
            return self.report(
                key, f"expected {type_text(annotation)}, got {shown(node)}", "write a list: [ … ]"
            )
        kinds: Sequence[Any] = [arguments[0]] * len(node)
        if origin is tuple and arguments[-1] is not ...:
            if len(node) != len(arguments):
                return self.report(key, f"expected {len(arguments)} items, got {len(node)}")
            kinds = arguments
        values = [
            self.value(kind, item, f"{key}.{index}")
            for index, (kind, item) in enumerate(zip(kinds, node, strict=True))
        ]
        if any(isinstance(item, _Invalid) for item in values):
            return _INVALID
        return (
            origin(values)
            if isinstance(origin, type) and issubclass(origin, (tuple, set, frozenset))
            else values
        )

    def mapping(self, annotation: Any, node: Any, key: str) -> Any:
        """A mapping with free keys, value by value."""
        key_type, value_type = typing.get_args(annotation)
        if not isinstance(node, Mapping):
            return self.report(key, f"expected {type_text(annotation)}, got {shown(node)}")
        result = {}
        for name, item in node.items():
            value = self.value(value_type, item, f"{key}.{name}")
            if key_type is str and not isinstance(name, str):
                value = self.report(f"{key}.{name}", f"the key {name!r} is not text", "write it in quotes")
            result[name] = value
        return _INVALID if any(isinstance(item, _Invalid) for item in result.values()) else result

    def dataclass(self, schema: type, node: Any, key: str, default: Any = dataclasses.MISSING) -> Any:
        """A dataclass; keys that the node omits keep the default instance's values."""
        if isinstance(node, schema):
            node, default = {}, node
        if not isinstance(node, Mapping):
            keys = ", ".join(item.name for item in dataclasses.fields(schema))
            return self.report(key, f"expected a mapping, got {shown(node)}", f"its keys are: {keys}")
        fields = {item.name: item for item in dataclasses.fields(schema) if item.init}
        prefix = f"{key}." if key else ""
        for name in node:
            if name not in fields:
                keys = ", ".join(fields) or "none"
                hint = did_you_mean(str(name), fields, otherwise=f"legal keys: {keys}")
                self.report(f"{prefix}{name}", f"unknown key {str(name)!r}", hint)
        values = {
            name: self._field(schema, item, node, f"{prefix}{name}", default) for name, item in fields.items()
        }
        if any(isinstance(value, _Invalid) for value in values.values()) or any(
            n not in fields for n in node
        ):
            return _INVALID
        try:
            return schema(**values)
        except (ValueError, TypeError, UserError) as error:
            hint = error.hint if isinstance(error, UserError) else None
            message = error.message if isinstance(error, UserError) else str(error)
            return self.report(key, message, hint)

    def _field(
        self, schema: type, item: dataclasses.Field[Any], node: Mapping[str, Any], key: str, default: Any
    ) -> Any:
        annotation = hints_of(schema)[item.name]
        fallback = default_of(item) if default is dataclasses.MISSING else getattr(default, item.name)
        if item.name in node:
            return self.value(annotation, node[item.name], key, fallback)
        if fallback is dataclasses.MISSING:
            doc = field_docs(schema).get(item.name, "").partition("\n")[0]
            return self.report(
                key, f"required key {item.name!r} is missing ({type_text(annotation)})", doc or None
            )
        return self.value(annotation, fallback, key) if _structural(annotation) else fallback

    def component(self, slot: Slot | None, node: Any, key: str, default: Any) -> Any:
        """A component node; without ``name`` it sets keys of the default component."""
        if isinstance(node, Component):
            node = node.to_node()
        if not isinstance(node, Mapping):
            example = f"{{name: {node}}}" if isinstance(node, str) else "{name: …}"
            return self.report(
                key, f"expected a mapping that chooses a component, got {shown(node)}", f"write {example}"
            )
        chosen = [name for name in IDENTITY if name in node]
        if isinstance(default, Component):
            base = default.to_node()
            node = merged(base, node) if not chosen or node.get("name") == default.name else node
            chosen = [name for name in IDENTITY if name in node]
        if len(chosen) == 2:
            return self.report(key, "`name` and `_target_` are both set", "keep the one that is meant")
        if not chosen:
            return self.report(
                key, f"no component is chosen: expected `name` or `_target_` ({slot})", _names(slot)
            )
        if not isinstance(node[chosen[0]], str):
            return self.report(f"{key}.{chosen[0]}", f"expected a name, got {shown(node[chosen[0]])}")
        component = Component.from_node(node, slot, key)
        if component.init_from is not None:
            init = component.init_from
            init = {"source": init} if isinstance(init, str) else init
            found = self.dataclass(InitConfig, init, f"{key}.init_from")
            if isinstance(found, _Invalid):
                return _INVALID
            component = dataclasses.replace(component, init_from=found)
        if not self.deep:
            return component
        return component if self._follow(component) else _INVALID

    def _follow(self, component: Component) -> bool:
        """Examine a component's own keys; True when they are right."""
        before = len(self.findings)
        if component.name is None:
            self.parts.append(Part(component, None, self.above))
            return True
        from espnet3_core.build import registered_of

        try:
            with warnings.catch_warnings(record=True) as heard:
                warnings.simplefilter("always", FutureWarning)
                registered = registered_of(dataclasses.replace(component, path=""))
        except UserError as error:
            self.report(f"{component.path}.name", error.message, error.hint)
            return False
        for item in heard:
            # The name is an alias that will go.
            key = f"{component.path}.name"
            self.warnings.append(Finding(message=str(item.message), level="warning", key=key))
        part = Part(component, registered.spec, self.above)
        self.parts.append(part)
        self.above = (*self.above, part)
        try:
            schema = schema_of(registered)
            if schema is not None:
                self.dataclass(schema, component.options, component.path)
            for key in component.options if schema is None else ():
                self.report(
                    f"{component.path}.{key}", f"unknown key {key!r}", f"{component.name} takes no options"
                )
        except UserError as error:
            self.report(component.path, error.message, error.hint)
        finally:
            self.above = part.above
        return len(self.findings) == before


def _names(slot: Slot | None) -> str | None:
    """A hint that lists what a slot takes."""
    if slot is None:
        return None
    from espnet3_core.catalog import current_catalog

    names = [entry.name for entry in current_catalog().components(slot.kind)]
    fitting = [e.name for e in current_catalog().components(slot.kind, slot.role)] if slot.role else names
    return f"installed: {', '.join(fitting or names)}" if names else None
