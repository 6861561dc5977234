"""``_target_`` nodes: does the class exist, and does it take these arguments? Asked of its source."""

from __future__ import annotations

import importlib
import inspect
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet3_core.component import Component
from espnet3_core.config.places import Place
from espnet3_core.config.signatures import Parameter, Signature, signature_of
from espnet3_core.config.sources import Unknown, find_module, resolve, source_of
from espnet3_core.errors import Finding, UserError
from espnet3_core.instantiate import RESERVED
from espnet3_core.names import did_you_mean

STAGE_KEYS = {"scheduler": ("interval", "monitor")}
"""Keys of a ``_target_`` node that the stage reads itself, by kind."""


def target_findings(component: Component, recipe: Path | None) -> list[Finding]:
    """Problems of a ``_target_`` node and of those nested in it.

    Args:
        component: The node.
        recipe: Folder of the recipe, whose own modules are imported to find what is wrong in them; None
            imports nothing, and what the source does not tell passes.
    """
    node = component.to_node()
    if component.slot is not None:
        node = {
            key: value for key, value in node.items() if key not in STAGE_KEYS.get(component.slot.kind, ())
        }
    return list(_node(node, component.path, recipe))


def _node(node: Mapping[str, Any], path: str, recipe: Path | None) -> Iterator[Finding]:
    target = node["_target_"]
    key = f"{path}._target_"
    if not isinstance(target, str):
        yield Finding(message=f"expected an import path, got {target!r}", key=key)
    else:
        try:
            signature = describe(target, recipe)
        except UserError as error:
            yield Finding(message=error.message, hint=error.hint, key=key)
        except Unknown:
            pass
        else:
            yield from _arguments(signature, node, path, target)
    for name, value in node.items():
        yield from _nested(value, f"{path}.{name}", recipe)


def nested_findings(value: Any, path: str, recipe: Path | None) -> list[Finding]:
    """Problems of the ``_target_`` nodes anywhere in a value."""
    return list(_nested(value, path, recipe))


def _nested(value: Any, path: str, recipe: Path | None) -> Iterator[Finding]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield from _node(value, path, recipe)
            return
        for name, item in value.items():
            yield from _nested(item, f"{path}.{name}", recipe)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _nested(item, f"{path}.{index}", recipe)


def _arguments(signature: Signature, node: Mapping[str, Any], path: str, target: str) -> Iterator[Finding]:
    for name in node:
        if name in RESERVED or signature.open or name in signature.names:
            continue
        hint = did_you_mean(str(name), signature.names, otherwise=f"it takes: {', '.join(signature.names)}")
        yield Finding(message=f"{target} takes no argument {name!r}", key=f"{path}.{name}", hint=hint)


def missing_arguments(component: Component, provided: set[str], recipe: Path | None) -> list[str]:
    """Required arguments of a ``_target_`` that neither the YAML nor the run gives."""
    if component.target is None or component.options.get("_partial_"):
        return []
    try:
        signature = describe(component.target, recipe)
    except (UserError, Unknown):
        return []
    positional = len(component.options.get("_args_") or ())
    rest = [item for item in signature.parameters if not item.keyword_only][positional:]
    rest += [item for item in signature.parameters if item.keyword_only]
    given = provided | set(component.options)
    return [item.name for item in rest if item.required and item.name not in given]


def describe(target: str, recipe: Path | None) -> Signature:
    """The signature of an import path: by import when it is the recipe's own, else from its source.

    Raises:
        UserError: There is no such thing, or its module fails to import.
        Unknown: The source does not tell.
    """
    module = target.partition(":")[0] if ":" in target else _module_of(target)
    file = source_of(module) if module else None
    if recipe is not None and file is not None and file.is_relative_to(recipe):
        return _imported(target, module, file)
    try:
        resolve(target)
    except LookupError as error:
        raise _absent(target, module, str(error.args[0])) from error
    except Unknown:
        if recipe is None:
            raise
        return _imported(target, module, file)
    except SyntaxError as error:
        place = Place(str(error.filename), error.lineno or 1)
        raise UserError(f"{place}: {error.msg}") from error
    return signature_of(target)


def _module_of(target: str) -> str:
    words = target.split(".")
    for count in range(len(words) - 1, 0, -1):
        if find_module(".".join(words[:count])) is not None:
            return ".".join(words[:count])
    return ""


def _absent(target: str, module: str, message: str) -> UserError:
    if not module:
        top = target.replace(":", ".").partition(".")[0]
        if "." not in target and ":" not in target:
            return UserError(f"{target!r} is not an import path", hint="write package.module.Name")
        local = top in ("src", "dataset")
        hint = f"the recipe has no folder {top}/" if local else f"pip install {top}"
        return UserError(f"there is no module {top!r} ({target})", hint=hint)
    from espnet3_core.config.sources import names_in

    word = target[len(module) + 1 :].partition(".")[0]
    return UserError(f"{message} ({target})", hint=did_you_mean(word, names_in(module)))


def _imported(target: str, module: str, file: Path | None) -> Signature:
    """The signature of an object that is imported; an error in its module is the finding."""
    from espnet3_core.build import locate

    try:
        importlib.import_module(module)
    except SyntaxError as error:
        raise UserError(f"{Place(str(error.filename), error.lineno or 1)}: {error.msg}") from error
    except Exception as error:  # whatever the user's module raises is what the user has to see
        frames = [
            item for item in traceback.extract_tb(error.__traceback__) if "importlib" not in item.filename
        ]
        own = [item for item in frames if file is not None and item.filename == str(file)]
        last = (own or frames)[-1] if frames else None
        where = f"{Place(last.filename, last.lineno or 1)}: " if last else ""
        name = error.name if isinstance(error, ModuleNotFoundError) and error.name else None
        hint = (
            f"pip install {name.partition('.')[0]}"
            if name and not name.startswith(("src", "dataset"))
            else None
        )
        raise UserError(
            f"{where}{module} cannot be imported: {type(error).__name__}: {error}", hint=hint
        ) from error
    found = locate(target)
    if not callable(found):
        raise UserError(f"{target} is a {type(found).__name__} and cannot be called")
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError) as error:
        raise Unknown(target) from error
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = tuple(
        Parameter(item.name, item.default is item.empty, item.kind is item.KEYWORD_ONLY)
        for item in signature.parameters.values()
        if item.kind in kinds
    )
    is_open = any(item.kind is item.VAR_KEYWORD for item in signature.parameters.values())
    return Signature(parameters, is_open, module)
