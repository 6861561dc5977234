"""What the server asks of a bundle: which kinds of values it takes and gives, and how it is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel
    from espnet3_core.bundle.results import Result

Inputs = Mapping[str, Any]
"""The inputs of one utterance by the names that the bundle declares: samples at the model's rate, a text,
a number."""


_MADE_OF = {"text": "audio", "audio": "text"}


def gives(model: LoadedModel, kind: str) -> bool:
    """Whether a model makes text of audio (``text``), or audio of text (``audio``), as it declares.

    Bundles without declarations are recognisers: there was nothing else to pack before there were any.
    """
    kinds = {declared.kind for declared in model.outputs} or {"text"}
    return kind in kinds and model.inputs[0].kind == _MADE_OF[kind]


def input_named(model: LoadedModel, *names: str) -> str | None:
    """The first of these inputs that a model declares."""
    declared = {item.name for item in model.inputs}
    return next((name for name in names if name in declared), None)


def compute(model: LoadedModel, utterances: Sequence[Inputs]) -> list[Result]:
    """Results of utterances that have the same inputs, in order.

    Raises:
        UserError: The model cannot process one of them.
    """
    first = model.inputs[0].name
    results: dict[int, Result] = {}
    for group in _groups([len(utterance[first]) for utterance in utterances]):
        chosen = [utterances[index] for index in group]
        columns = {name: [utterance[name] for utterance in chosen] for name in chosen[0]}
        values = columns.pop(first)
        found = model.batch(values, sample_rate=model.sample_rate, channels="mean", **columns)
        results.update(zip(group, found, strict=True))
    return [results[index] for index in range(len(utterances))]


def _groups(lengths: Sequence[int]) -> list[list[int]]:
    """The shorter and the longer half apart, where that saves more padding than a second call costs."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    half = len(order) // 2
    if half < 4 or lengths[order[-1]] < 1.25 * lengths[order[half - 1]]:
        return [order]
    return [order[:half], order[half:]]
