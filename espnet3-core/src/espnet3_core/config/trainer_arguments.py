"""Keys and simple values of ``training.trainer`` against ``lightning.Trainer``, read from its source.

Importing Lightning takes seconds; reading the signature of its trainer takes milliseconds.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.config.signatures import Parameter, Signature, signature_of
from espnet3_core.config.sources import Unknown, expression
from espnet3_core.config.targets import describe, nested_findings
from espnet3_core.config.values import shown
from espnet3_core.errors import Finding, UserError
from espnet3_core.names import did_you_mean

TRAINER = "lightning.pytorch.trainer.trainer:Trainer"
_SHARDED = ("fsdp", "deepspeed", "modelparallel")
_SIMPLE = {"int": int, "float": float, "str": str, "bool": bool}
_LISTS = {"list", "List", "Iterable", "Sequence", "tuple", "Tuple"}


@dataclass(frozen=True)
class Alternative:
    """One thing that an annotation accepts.

    Attributes:
        kind: ``type``, ``literal``, ``none``, ``object``, ``list``, ``dict`` or ``any``.
        value: Type, literal value, class name, or the alternatives of a list's items.
    """

    kind: str
    value: Any = None

    def accepts(self, value: Any) -> bool:
        """Whether a YAML value fits."""
        if self.kind == "any":
            return True
        if self.kind == "none":
            return value is None
        if self.kind == "literal":
            return type(value) is type(self.value) and value == self.value
        if self.kind == "object":
            return isinstance(value, Mapping) and "_target_" in value
        if self.kind == "dict":
            return isinstance(value, Mapping)
        if self.kind == "list":
            return isinstance(value, (list, tuple)) and all(accepted(self.value, item) for item in value)
        if self.value is float:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        return type(value) is self.value

    def __str__(self) -> str:
        if self.kind == "type":
            return str(self.value.__name__)
        if self.kind == "literal":
            return repr(self.value)
        if self.kind == "object":
            return f"{self.value} (by _target_)"
        if self.kind == "list":
            return f"list of {' or '.join(map(str, self.value))}"
        return {"none": "null", "dict": "mapping"}.get(self.kind, self.kind)


def accepted(alternatives: tuple[Alternative, ...], value: Any) -> bool:
    """Whether one of several alternatives takes a value."""
    return any(alternative.accepts(value) for alternative in alternatives)


def trainer_findings(
    trainer: Mapping[str, Any], path: str, trainer_class: str | None = None, recipe: Path | None = None
) -> list[Finding]:
    """Problems of the trainer's arguments.

    Args:
        trainer: Node ``training.trainer``.
        path: Its key path.
        trainer_class: Import path of the recipe's own trainer, whose arguments are legal, too.
        recipe: Folder of the recipe, when its modules may be imported.
    """
    parameters = {item.name: item for item in signature_of(TRAINER).parameters}
    findings: list[Finding] = []
    own, is_open, key = _own_parameters(trainer_class, recipe), False, f"{path}_class"
    if isinstance(own, UserError):
        findings.append(Finding(message=own.message, hint=own.hint, key=key))
        is_open = True
    elif own is not None:
        parameters = {**(parameters if own.open else {}), **{item.name: item for item in own.parameters}}
    for name, value in trainer.items():
        if name not in parameters:
            if not is_open:
                hint = did_you_mean(
                    str(name), parameters, otherwise="see the arguments of lightning.pytorch.Trainer"
                )
                message = f"lightning's Trainer has no argument {str(name)!r}"
                findings.append(Finding(message=message, key=f"{path}.{name}", hint=hint))
            continue
        finding = _value_finding(parameters[name], value, f"{path}.{name}")
        findings += [finding] if finding else nested_findings(value, f"{path}.{name}", recipe)
    return findings + _sharded(trainer.get("strategy"), f"{path}.strategy")


def _sharded(strategy: Any, key: str) -> list[Finding]:
    """Refuse strategies whose processes hold parts of the weights.

    Lightning does not clip the norm of gradients with FSDP; averaged weights are kept, and batches that do
    not fit are split, by processes that see whole weights; and nothing of it has been tested.
    """
    name = str(strategy.get("_target_", "") if isinstance(strategy, Mapping) else strategy or "")
    if not name.rpartition(".")[2].lower().replace("_", "").startswith(_SHARDED):
        return []
    return [
        Finding(
            message=f"{name} shards the weights: clipping by norm, core/ema and exact resuming fail",
            key=key,
            hint="use strategy: ddp; against lack of memory: precision: bf16-mixed, batch: {auto: true}, "
            "accumulate_grad_batches",
        )
    ]


def _own_parameters(trainer_class: str | None, recipe: Path | None) -> Signature | UserError | None:
    if trainer_class is None:
        return None
    try:
        return describe(trainer_class, recipe)
    except UserError as error:
        return error
    except Unknown:
        return Signature((), True)


def _value_finding(parameter: Parameter, value: Any, key: str) -> Finding | None:
    if parameter.annotation is None:
        return None
    options = alternatives(parameter.annotation, "lightning.pytorch.trainer.trainer")
    if accepted(options, value):
        return None
    words = [str(option.value) for option in options if option.kind == "literal"]
    hint = did_you_mean(value, words) if isinstance(value, str) and words else None
    expected = " or ".join(dict.fromkeys(map(str, options)))
    return Finding(message=f"expected {expected}, got {shown(value)}", key=key, hint=hint)


def alternatives(node: ast.expr, module: str, _depth: int = 0) -> tuple[Alternative, ...]:
    """What an annotation accepts, following aliases through the sources."""
    anything = (Alternative("any"),)
    if _depth > 12:
        return anything
    if isinstance(node, ast.Constant):
        if node.value is None:
            return (Alternative("none"),)
        return alternatives(ast.parse(str(node.value), mode="eval").body, module, _depth + 1)
    if isinstance(node, ast.BinOp):
        return alternatives(node.left, module, _depth + 1) + alternatives(node.right, module, _depth + 1)
    if isinstance(node, ast.Subscript):
        return _subscript(node, module, _depth)
    name = ast.unparse(node).rpartition(".")[2]
    if name in _SIMPLE:
        return (Alternative("type", _SIMPLE[name]),)
    if name in ("dict", "Dict", "Mapping"):
        return (Alternative("dict"),)
    if name in _LISTS:
        return (Alternative("list", anything),)
    try:
        found = expression(module, node)
    except (LookupError, Unknown, SyntaxError):
        return anything
    if isinstance(found.node, ast.ClassDef):
        return (Alternative("object", name),)
    if isinstance(found.node, (ast.Subscript, ast.BinOp)):
        return alternatives(found.node, found.module, _depth + 1)
    return anything


def _subscript(node: ast.Subscript, module: str, depth: int) -> tuple[Alternative, ...]:
    base = ast.unparse(node.value).rpartition(".")[2]
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if base == "Literal":
        return tuple(Alternative("literal", item.value) for item in items if isinstance(item, ast.Constant))
    inner = tuple(option for item in items for option in alternatives(item, module, depth + 1))
    if base == "Union":
        return inner
    if base == "Optional":
        return (*inner, Alternative("none"))
    if base in _LISTS:
        return (Alternative("list", inner),)
    if base in ("dict", "Dict", "Mapping"):
        return (Alternative("dict"),)
    return (Alternative("any"),)
