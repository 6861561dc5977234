"""What a graph computes in onnxruntime beside what its module computes in torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.bundle.export import Arrays, Graph


def compare(graph: Graph, path: Path) -> dict[str, Any]:
    """Run the examples through both.

    Returns:
        ``largest_difference`` by output, ``same_text`` (None where outputs are no text) and the ``examples``
        with the shapes of their inputs, differences and texts.

    Raises:
        UserError: Shapes or texts differ, or values by more than the graph's tolerance.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    examples = [_compared(graph, session, example) for example in graph.examples]
    largest = {
        name: max(example["largest_difference"][name] for example in examples) for name in graph.outputs
    }
    return {
        "largest_difference": largest,
        "tolerance": graph.tolerance,
        "same_text": True if graph.reads else None,
        "examples": examples,
    }


def _compared(graph: Graph, session: Any, example: tuple[Any, ...]) -> dict[str, Any]:
    import numpy as np
    import torch

    with torch.no_grad():
        values = graph.module(*example)
    values = values if isinstance(values, tuple) else (values,)
    expected = {name: value.numpy() for name, value in zip(graph.outputs, values, strict=True)}
    inputs = {name: value.numpy() for name, value in zip(graph.inputs, example, strict=True)}
    found: Arrays = dict(zip(graph.outputs, session.run(list(graph.outputs), inputs), strict=True))
    differences = {}
    for name, value in expected.items():
        if value.shape != found[name].shape:
            raise _other(graph, f"{name} has the shape {found[name].shape}, not {value.shape}")
        gap = np.abs(value.astype(np.float64) - found[name].astype(np.float64))
        differences[name] = largest = float(gap.max(initial=0.0))
        if not largest <= graph.tolerance:  # NaN is no agreement
            raise _other(graph, f"{name} differs by {largest:.2g}; {graph.tolerance} is allowed")
    shapes = {name: list(value.shape) for name, value in inputs.items()}
    told: dict[str, Any] = {"inputs": shapes, "largest_difference": differences}
    if graph.reads:
        told["text"] = graph.reads(found)
        if told["text"] != graph.reads(expected):
            raise _other(graph, f"the text is {told['text']}, not {graph.reads(expected)}")
    return told


def _other(graph: Graph, problem: str) -> UserError:
    return UserError(
        f"{graph.name}.onnx computes something else than the bundle: {problem}",
        hint="nothing was written; please report it with the output of espnet3 doctor",
    )
