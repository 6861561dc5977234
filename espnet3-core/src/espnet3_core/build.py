"""Configuration nodes to objects: named components through the catalog, ``_target_`` nodes by import path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from espnet3_core.catalog import Registered, current_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_core.instantiate import call, instantiate, locate, parameters_of, where_of
from espnet3_core.specs import ComponentSpec

__all__ = ["as_component", "build", "component_config", "locate", "providers_of", "registered_of"]


def build(
    component: Component | Mapping[str, Any],
    needs: Mapping[str, Any] | None = None,
    *,
    kind: str | None = None,
    role: str | None = None,
    path: str = "",
) -> Any:
    """Make the object that a configuration node describes.

    A named component is called as ``target(config, **needs)`` with the needs that its signature names. A
    ``_target_`` node is called with its YAML arguments and any need that its signature names and the YAML
    omits; nested ``_target_`` nodes are built first, in the same way. Values are plain Python containers.

    Args:
        component: A component, or the mapping that describes it.
        needs: Runtime needs by name; those that nothing asks for are left out.
        kind: Kind that the place takes, when ``component`` does not know.
        role: Role that the place takes, when ``component`` does not know.
        path: Key path for messages, when ``component`` does not know.

    Returns:
        The object; a ``functools.partial`` of its class when the node has ``_partial_: true``.

    Raises:
        UserError: The component is unknown, its keys are wrong, or a need is missing. What a constructor
            raises keeps its type, with a note that names the node.
    """
    part = as_component(component, kind=kind, role=role, path=path)
    supplied = dict(needs or {})
    if part.target is not None:
        return instantiate(part.to_node(), supplied, part.path, top=True)
    registered = registered_of(part)
    spec = registered.spec
    where = where_of(part.path, spec.name)
    if not isinstance(spec, ComponentSpec):
        raise UserError(f"{where}: a {registered.kind} is not built")
    target = _implementation(registered, spec.target)
    arguments = () if spec.config is None else (component_config(part),)
    accepted = _accepted_needs(target, len(arguments), supplied, where)
    return call(target, arguments, accepted, where)


def as_component(
    node: Component | Mapping[str, Any], *, kind: str | None = None, role: str | None = None, path: str = ""
) -> Component:
    """A component from a component or from the mapping that describes it.

    Raises:
        UserError: The mapping has not exactly one of ``name`` and ``_target_``.
    """
    slot = Slot(kind, role) if kind else None
    if isinstance(node, Component):
        return Component(node.name, node.target, node.options, node.slot or slot, node.path or path)
    if not isinstance(node, Mapping) or ("name" in node) == ("_target_" in node):
        raise UserError(
            f"{path or 'a component'}: a mapping with exactly one of `name` and `_target_` is expected, "
            f"not {node!r}"
        )
    return Component.from_node(node, slot, path)


def registered_of(component: Component) -> Registered:
    """The catalog's record of a named component; without a slot, its name alone decides the kind.

    Raises:
        UserError: Nothing, or more than one kind, goes by that name.
    """
    catalog, name = current_catalog(), component.name
    if name is None:
        raise UserError(f"{component.path or component.target}: it is not chosen by name")
    if component.slot is not None:
        return catalog.find(component.slot.kind, name, component.slot.role, component.path)
    bare = name.rpartition(":")[2]
    kinds = sorted({entry.kind for entry in catalog.components() if bare in entry.names})
    if len(kinds) > 1:
        raise UserError(
            f"{component.path or name}: {name} is a {' and a '.join(kinds)}; say which kind is meant"
        )
    return catalog.find(kinds[0] if kinds else "module", name, None, component.path)


def component_config(component: Component) -> Any:
    """The validated configuration dataclass of a named component; None when it takes none.

    Raises:
        CheckFailed: Keys are unknown, missing or of a wrong type: all of them.
        UserError: The component is unknown.
    """
    if component.name is None:
        return None
    from espnet3_core.config.fields import schema_of
    from espnet3_core.config.schema import validate

    schema = schema_of(registered_of(component))
    if schema is None:
        if component.options:
            keys = ", ".join(component.options)
            raise UserError(f"{where_of(component.path, component.name)}: it takes no options, not {keys}")
        return None
    return validate(schema, component.options, component.path)


def _implementation(registered: Registered, target: str) -> Any:
    try:
        return locate(target)
    except UserError as error:
        raise registered.broken("target", error.message, error.hint) from error


def _accepted_needs(
    target: Callable[..., Any], positional: int, needs: Mapping[str, Any], where: str
) -> dict[str, Any]:
    parameters = [
        parameter
        for parameter in (parameters_of(target) or [])[positional:]
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in needs:
            raise UserError(
                f"{where}: it needs `{parameter.name}`, which is not provided here",
                hint=providers_of(parameter.name),
            )
    return {parameter.name: needs[parameter.name] for parameter in parameters if parameter.name in needs}


def providers_of(need: str) -> str:
    """A hint: who in the catalog provides a runtime need."""
    entries = [entry for entry in current_catalog().components() if need in entry.spec.provides]
    if not entries:
        return f"no installed component or system provides `{need}`"
    return f"`{need}` is provided by " + ", ".join(f"{entry.kind} {entry.name}" for entry in entries[:4])
