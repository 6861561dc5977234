"""Objects by import path: ``module:attribute`` targets of records, and ``_target_`` nodes of recipes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from espnet3_core.component import Component
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean

RESERVED = ("_target_", "_args_", "_partial_", "_recursive_", "_convert_")
"""Keys of a ``_target_`` node that are not arguments (Hydra's spelling)."""


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


def where_of(path: str, name: str | None) -> str:
    """A component for messages: its key path, and what it is."""
    return f"{path} ({name})" if path else str(name)


def parameters_of(target: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Parameters of a callable, or None when it does not tell (some builtins)."""
    try:
        return list(inspect.signature(target).parameters.values())
    except (TypeError, ValueError):
        return None


def call(target: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], where: str) -> Any:
    """Call a constructor; what it raises gets a note that says which component it was."""
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
        from espnet3_core.build import build

        return build(value, needs, path=path)
    if isinstance(value, Mapping):
        if "_target_" in value:
            return instantiate(value, needs, path, top=False)
        return {key: _resolve(item, needs, f"{path}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_resolve(item, needs, f"{path}.{index}") for index, item in enumerate(value)]
    return value


def instantiate(node: Mapping[str, Any], needs: Mapping[str, Any], path: str, *, top: bool) -> Any:
    """Build a ``_target_`` node.

    Hydra's own ``instantiate`` would put the needs, among them models and open datasets, through OmegaConf
    containers, which copy them; this has its meaning with ``_convert_="all"``.
    """
    target_path = node["_target_"]
    where = where_of(path, str(target_path))
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
    return call(target, args, kwargs, where)


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
    parameters = parameters_of(target) or []
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
