"""Configuration nodes to objects: named components through the catalog, ``_target_`` nodes by import path."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from espnet3_core.catalog import Registered, current_catalog
from espnet3_core.component import Component, Slot
from espnet3_core.errors import Finding, UserError
from espnet3_core.names import did_you_mean
from espnet3_core.specs import KINDS, ComponentSpec

RESERVED = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")
"""Keys of a ``_target_`` node that are not arguments (Hydra's spelling)."""


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
        return _instantiate(part.to_node(), supplied, part.path, top=True)
    registered = registered_of(part)
    spec = registered.spec
    where = _where(part.path, spec.name)
    if not isinstance(spec, ComponentSpec):
        raise UserError(f"{where}: a {registered.kind} is not built")
    target = locate(spec.target, where)
    arguments = () if spec.config is None else (component_config(part),)
    accepted = _accepted_needs(target, len(arguments), supplied, where)
    return _call(target, arguments, accepted, where)


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
    kinds = sorted({entry.kind for entry in catalog.components() if entry.name == bare})
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
    from espnet3_core.config.schema import validate

    spec = registered_of(component).spec
    schema = getattr(spec, "config", None)
    if schema is None:
        if component.options:
            keys = ", ".join(component.options)
            raise UserError(f"{_where(component.path, component.name)}: it takes no options, not {keys}")
        return None
    return validate(schema, component.options, component.path)


def locate(target: str, where: str = "") -> Any:
    """The object at ``module:attribute`` or ``module.attribute``.

    Raises:
        UserError: There is no such module or attribute, or a package that it imports is not installed.
    """
    prefix = f"{where}: " if where and where != target else ""
    module_name, _, attributes = target.partition(":")
    if not attributes:
        module_name, attributes = _split(target, prefix)
    try:
        found: Any = import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(f"{missing}."):
            hint = None if missing.startswith("src") else f"pip install {missing.partition('.')[0]}"
            raise UserError(f"{prefix}there is no module {missing!r} ({target})", hint=hint) from error
        top = missing.partition(".")[0]
        raise UserError(
            f"{prefix}{module_name} imports {missing!r}, which is not installed", hint=f"pip install {top}"
        ) from error
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            raise UserError(
                f"{prefix}{module_name} has no {attribute!r}", hint=did_you_mean(attribute, dir(found))
            )
        found = getattr(found, attribute)
    return found


def _split(target: str, prefix: str) -> tuple[str, str]:
    """Module and attributes of a dotted path: the longest prefix that is a module."""
    from espnet3_core.config.sources import find_module

    words = target.split(".")
    if len(words) < 2 or not all(word.isidentifier() for word in words):
        raise UserError(
            f"{prefix}{target!r} is not an import path",
            hint="write package.module.Name, such as src.model.MyModel",
        )
    for count in range(len(words) - 1, 0, -1):
        module = ".".join(words[:count])
        if find_module(module) is not None:
            return module, ".".join(words[count:])
    return ".".join(words[:-1]), words[-1]


def _where(path: str, name: str | None) -> str:
    return f"{path} ({name})" if path else str(name)


def _parameters(target: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Parameters of a callable, or None when it does not tell (some builtins)."""
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None


def _accepted_needs(
    target: Callable[..., Any], positional: int, needs: Mapping[str, Any], where: str
) -> dict[str, Any]:
    parameters = [
        parameter
        for parameter in (_parameters(target) or [])[positional:]
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


def _call(target: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> Any:
    try:
        return target(*args, **kwargs)
    except UserError:
        raise
    except Exception as error:
        error.add_note(f"while building {where}")
        raise


def _resolve(value: Any, needs: Mapping[str, Any], path: str) -> Any:
    """A YAML value with the ``_target_`` nodes in it built."""
    if isinstance(value, Component):
        return build(value, needs, path=path)
    if isinstance(value, Mapping):
        if "_target_" in value:
            return _instantiate(value, needs, path, top=False)
        return {key: _resolve(item, needs, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolve(item, needs, f"{path}.{index}") for index, item in enumerate(value)]
    return value


def _instantiate(node: Mapping[str, Any], needs: Mapping[str, Any], path: str, *, top: bool) -> Any:
    """Build a ``_target_`` node.

    Hydra's own ``instantiate`` would put the needs, among them models and open datasets, through OmegaConf
    containers, which copy them; this has its meaning with ``_convert_="all"``.
    """
    target_path = node["_target_"]
    where = _where(path, str(target_path))
    target = locate(target_path, where) if isinstance(target_path, str) else target_path
    if not callable(target):
        raise UserError(f"{where}: it cannot be called")
    raw = {key: value for key, value in node.items() if key not in RESERVED}
    args: list[Any] = list(node.get("_args_") or ())
    if node.get("_recursive_", True):
        raw = {key: _resolve(value, needs, f"{path}.{key}") for key, value in raw.items()}
        args = [_resolve(value, needs, f"{path}._args_.{index}") for index, value in enumerate(args)]
    partial = bool(node.get("_partial_", False))
    kwargs = _with_needs(target, args, raw, needs, where, must_agree=top)
    _check_arguments(target, args, kwargs, where, partial=partial)
    if partial:
        from functools import partial as make_partial

        return make_partial(target, *args, **kwargs)
    return _call(target, args, kwargs, where)


def _with_needs(
    target: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    needs: Mapping[str, Any],
    where: str,
    *,
    must_agree: bool,
) -> dict[str, Any]:
    filled = dict(kwargs)
    parameters = _parameters(target) or []
    positional = [
        item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)
    ]
    taken = {item.name for item in positional[: len(args)]}
    for parameter in parameters:
        if parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            continue
        if parameter.name not in needs or parameter.name in taken:
            continue
        if parameter.name not in filled:
            filled[parameter.name] = needs[parameter.name]
        elif must_agree and not _equal(filled[parameter.name], needs[parameter.name]):
            raise UserError(
                f"{where}: {parameter.name} is {filled[parameter.name]!r} in the configuration and "
                f"{needs[parameter.name]!r} in this run",
                hint=f"leave {parameter.name} out of the configuration: it is filled in",
            )
    return filled


def _equal(left: Any, right: Any) -> bool:
    if left is right:
        return True
    try:
        return bool(left == right)
    except (TypeError, ValueError, RuntimeError):
        return False


def _check_arguments(
    target: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    where: str,
    *,
    partial: bool,
) -> None:
    """Arguments that the signature refuses are the user's mistake, and are told as such."""
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return
    try:
        if partial:
            signature.bind_partial(*args, **kwargs)
        else:
            signature.bind(*args, **kwargs)
    except TypeError as error:
        names = [name for name in signature.parameters if name not in kwargs]
        unknown = next((key for key in kwargs if key not in signature.parameters), None)
        hint = did_you_mean(unknown, names) if unknown else None
        raise UserError(
            f"{where}: {error}", hint=hint or f"it takes {', '.join(signature.parameters) or 'no arguments'}"
        ) from error


def finding_of(error: UserError, key: str | None = None) -> Finding:
    """An error as a finding of a check."""
    return Finding(message=error.message, hint=error.hint, key=key)


def kind_key(kind: str) -> str:
    """Where recipes choose a component of a kind, for hints."""
    return KINDS[kind].key
