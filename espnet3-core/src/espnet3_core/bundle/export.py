"""What a task says about exporting its bundles: graphs of tensors. A plugin writes them down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Arrays = Mapping[str, NDArray[np.generic]]
"""Inputs or outputs of a graph, by name."""
Axes = Mapping[str, tuple[str | int, ...]]
"""Tensors of a graph in order: of each its axes, by name where their size is free, else by size."""


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A part of a model that computes with tensors alone.

    Attributes:
        name: File name without its suffix.
        module: ``forward`` takes the inputs in order, and returns the outputs in order.
        inputs: What goes in; an axis of the same name has the same size everywhere.
        outputs: What comes out.
        examples: Inputs in order. The first is what the graph is made with, so its free axes must be longer
            than 1; with all of them the graph is compared with the module, which shall differ in size.
        reads: Outputs to what they mean, one text per utterance: these must be the same, too.
        metadata: Stored in the file.
        tolerance: Largest difference of outputs.
    """

    name: str = "model"
    module: nn.Module
    inputs: Axes
    outputs: Axes
    examples: Sequence[tuple[Tensor, ...]]
    reads: Callable[[Arrays], list[str]] | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    tolerance: float = 1e-2


@dataclass(frozen=True, kw_only=True)
class Export:
    """All that a bundle becomes in one format.

    Attributes:
        graphs: Each a file of its own.
        files: Texts to lay beside them, by name.
    """

    graphs: tuple[Graph, ...]
    files: Mapping[str, str] = field(default_factory=dict)
