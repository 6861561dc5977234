"""Section ``training.optimizers`` against the rest of the configuration and the source of the model."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from espnet3_core.config.schema import Part
from espnet3_core.config.sources import Unknown, resolve, statements
from espnet3_core.errors import Finding
from espnet3_core.names import did_you_mean

_PER_OPTIMIZER = {
    "trainer.gradient_clip_val": "set `clip` of each optimizer",
    "trainer.gradient_clip_algorithm": "set `clip_by` of each optimizer",
    "trainer.accumulate_grad_batches": "set `accumulate` of each optimizer",
    "optimizer": "keep one of the two: with `optimizers`, each has an `optimizer` of its own",
    "scheduler": "move it to the optimizer whose rate it sets",
}
"""Keys for a single optimizer, and what stands for them with several."""
_WILD = "*?["
_PLAIN_BASES = {"nn.Module", "torch.nn.Module", "Module", "object"}


def optimizers_findings(node: Mapping[str, Any], parts: Sequence[Part]) -> list[Finding]:
    """Problems of named optimizers that their schema does not know about.

    Args:
        node: The ``training`` role as written.
        parts: The components that it chooses; the model's source is read for its parts and for ``turn``.
    """
    named = node.get("optimizers")
    if not isinstance(named, Mapping) or not named:
        return []
    return [*_names(named), *_single(node), *_monitors(node, named), *_model(named, parts)]


def _names(named: Mapping[str, Any]) -> Iterator[Finding]:
    for name in named:
        if not (isinstance(name, str) and name.isidentifier()):
            message = f"{name!r} is not a name: letters, digits and underscores"
            yield Finding(message=message, key=f"training.optimizers.{name}")


def _single(node: Mapping[str, Any]) -> Iterator[Finding]:
    for key, hint in _PER_OPTIMIZER.items():
        value: Any = node
        for word in key.split("."):
            value = value.get(word) if isinstance(value, Mapping) else None
        if value is not None:
            message = f"`{key.rpartition('.')[2]}` and `optimizers` are both set"
            yield Finding(message=message, key=f"training.{key}", hint=hint)


def _monitors(node: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[Finding]:
    """Values are logged as ``valid/<optimizer>/<value>``."""
    checkpoint = node.get("checkpoint")
    best = checkpoint.get("best") if isinstance(checkpoint, Mapping) else None
    chosen = {"training.optimizers": "valid/loss"}  # the default
    if isinstance(best, list):
        chosen = {
            f"training.checkpoint.best.{index}.monitor": item.get("monitor", "valid/loss")
            for index, item in enumerate(best)
            if isinstance(item, Mapping)
        }
    for key, monitor in chosen.items():
        prefix, _, rest = str(monitor).partition("/")
        owner, slash, _ = rest.partition("/")
        if prefix not in ("train", "valid") or (slash and owner in named):
            continue
        value = rest.rpartition("/")[2]
        choices = [f"{prefix}/{name}/{value}" for name in named]
        yield Finding(
            message=f"checkpoints are selected by {monitor!r}, which is not logged with named optimizers",
            key=key,
            hint=did_you_mean(str(monitor), choices)
            if slash
            else f"set checkpoint.best: [{{monitor: {' or '.join(choices)}}}]",
        )


def _model(named: Mapping[str, Any], parts: Sequence[Part]) -> Iterator[Finding]:
    model = _class_of(parts)
    if model is None:
        return
    forward = [item for item in model.body if isinstance(item, ast.FunctionDef) and item.name == "forward"]
    if forward and not _takes_turn(forward[-1].args):
        yield Finding(
            message=f"forward of {model.name} does not take `turn`, so it cannot tell whose loss is wanted",
            key="training.optimizers",
            hint="add a keyword `turn`: the name of the optimizer whose loss to return",
        )
    attributes = _attributes(model)
    if attributes is None:
        return
    for name, item in named.items():
        patterns = item.get("parameters") if isinstance(item, Mapping) else None
        for index, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            first = str(pattern).partition(".")[0]
            if first and not any(sign in first for sign in _WILD) and first not in attributes:
                yield Finding(
                    message=f"{pattern!r} matches no parameter: {model.name} has no part {first!r}",
                    key=f"training.optimizers.{name}.parameters.{index}",
                    hint=did_you_mean(first, attributes, otherwise=f"its parts: {', '.join(attributes)}"),
                )


def _class_of(parts: Sequence[Part]) -> ast.ClassDef | None:
    """The class of the model, if its source tells and it inherits its parts from nowhere else."""
    for part in parts:
        if part.component.path != "training.model":
            continue
        target = part.component.target or getattr(part.record, "target", None)
        try:
            node = resolve(target).node if target else None
        except (LookupError, Unknown, SyntaxError):
            return None
        plain = isinstance(node, ast.ClassDef) and {ast.unparse(base) for base in node.bases} <= _PLAIN_BASES
        return node if plain and isinstance(node, ast.ClassDef) else None
    return None


def _takes_turn(arguments: ast.arguments) -> bool:
    names = {item.arg for item in (*arguments.args, *arguments.kwonlyargs)}
    return "turn" in names or arguments.kwarg is not None


def _attributes(model: ast.ClassDef) -> list[str] | None:
    """What a class assigns to ``self``, in order; None when it may have parts by other means."""
    if any(word in ast.unparse(model) for word in ("add_module(", "register_", "setattr(")):
        return None
    found: dict[str, None] = {}
    for method in model.body:
        for statement in statements(method.body) if isinstance(method, ast.FunctionDef) else ():
            targets: Sequence[ast.expr] = ()
            if isinstance(statement, ast.Assign):
                targets = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            for target in targets:
                for item in target.elts if isinstance(target, ast.Tuple) else [target]:
                    if isinstance(item, ast.Attribute) and ast.unparse(item.value) == "self":
                        found[item.attr] = None
    return list(found) or None
