"""What models return in training, brought to one form; and which batch fields they take."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from espnet3_core.errors import UserError


class StepOutput(NamedTuple):
    """Outcome of a forward pass.

    Attributes:
        loss: Scalar to minimise, a mean over ``weight`` utterances.
        stats: Scalars to log, the loss included.
        weight: Number of utterances.
    """

    loss: Tensor
    stats: dict[str, Tensor]
    weight: float | Tensor


def step_output(output: Any, batch: Mapping[str, Any]) -> StepOutput:
    """Read a mapping or object with ``loss``, ``(loss, stats, weight)`` or a loss alone.

    Raises:
        UserError: It is none of these.
    """
    stats: Mapping[str, Any] = {}
    loss: Any
    weight: Any = None
    if isinstance(output, Tensor):
        loss = output
    elif isinstance(output, Mapping):
        loss, weight, stats = output.get("loss"), output.get("weight"), output
    elif isinstance(output, tuple) and len(output) == 3 and isinstance(output[1], Mapping):
        loss, stats, weight = output
    else:
        loss = getattr(output, "loss", None)
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise UserError(
            f"training.model: the model returned {_describe(output)}, which holds no scalar loss",
            hint="return a dict with 'loss', (loss, stats, weight), or the loss itself, a scalar tensor",
        )
    scalars = {"loss": loss.detach()}
    for key, value in stats.items():
        if key not in ("loss", "weight") and (scalar := _scalar(value, loss)) is not None:
            scalars[key] = scalar
    return StepOutput(loss.reshape(()), scalars, _weight(weight, batch))


def _scalar(value: Any, like: Tensor) -> Tensor | None:
    """A value to log, on the device of the loss; host values get there without waiting for the device."""
    if isinstance(value, Tensor):
        if value.numel() != 1 or value.is_complex():
            return None
        if value.device == like.device:
            return value.detach()
        value = value.item()
    if isinstance(value, (int, float)):
        return torch.full((), float(value), device=like.device)
    return None


def _weight(weight: Any, batch: Mapping[str, Any]) -> float | Tensor:
    if isinstance(weight, Tensor):
        return weight.detach().reshape(())
    return float(batch_size(batch) if weight is None else weight)


def batch_size(batch: Mapping[str, Any]) -> int:
    """Number of utterances in a batch."""
    if "ids" in batch:
        return len(batch["ids"])
    sizes = [len(value) for value in batch.values() if isinstance(value, Tensor) and value.dim()]
    return sizes[0] if sizes else 1


def is_empty(batch: Mapping[str, Any]) -> bool:
    """Whether no utterance of a batch could be read; another one's values stand in and count nothing."""
    return "ids" in batch and not batch["ids"]


def padding(batch: Mapping[str, Any]) -> tuple[float, float]:
    """How much of a batch is padding: (filled, all), in samples or frames of its first real-valued field."""
    for key, value in batch.items():
        lengths = batch.get(f"{key}_lengths")
        if (
            isinstance(value, Tensor)
            and isinstance(lengths, Tensor)
            and value.is_floating_point()
            and value.dim() > 1
        ):
            return float(lengths.sum()), float(value.shape[0] * value.shape[1])
    return 0.0, 0.0


def _describe(output: Any) -> str:
    if isinstance(output, Mapping):
        return f"a mapping with {', '.join(map(repr, output)) or 'nothing'}"
    if isinstance(output, Tensor):
        return f"a tensor of shape {tuple(output.shape)}"
    return f"a {type(output).__name__}"


class FieldSelector:
    """Takes from a batch the fields that a function names; all but the ids when it takes ``**fields``.

    Args:
        target: A model, for its forward, or a function.
    """

    def __init__(self, target: nn.Module | Callable[..., Any]) -> None:
        module = getattr(target, "_orig_mod", target)  # a compiled model's own
        self._name = "forward" if isinstance(module, nn.Module) else getattr(module, "__name__", "it")
        function: Any = module.forward if isinstance(module, nn.Module) else module
        parameters = inspect.signature(function).parameters.values()
        self._everything = any(p.kind is p.VAR_KEYWORD for p in parameters)
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self._names = {p.name for p in named}
        self._required = [p.name for p in named if p.default is p.empty]
        self._checked: set[tuple[str, ...]] = set()

    def takes(self, name: str) -> bool:
        """Whether a field of this name is passed on."""
        return self._everything or name in self._names

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """The fields to pass.

        Raises:
            UserError: The batch lacks a field that forward cannot do without.
        """
        keys = tuple(batch)
        if keys not in self._checked:
            missing = [name for name in self._required if name not in batch]
            if missing:
                raise UserError(
                    f"training.model: {self._name} needs {', '.join(map(repr, missing))}, "
                    f"and a batch has {', '.join(map(repr, keys))}",
                    hint="rename the fields of the dataset or choose a collator that makes them",
                )
            self._checked.add(keys)
        if self._everything:
            return {key: value for key, value in batch.items() if key != "ids" or "ids" in self._names}
        return {key: value for key, value in batch.items() if key in self._names}
