"""Bundles of synthesis as graphs: what a model says of itself, by its method ``graph``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from espnet3_core.bundle.export import Export
from espnet3_core.errors import UserError

if TYPE_CHECKING:
    from espnet3_core.bundle.model import LoadedModel

_LENGTHS = (13, 9, 21)
"""Tokens of the texts that a graph is compared with, beside the bundle's sample."""


def to_graphs(model: LoadedModel) -> Export:
    """``--format onnx``: acoustic models (tokens to spectrograms) and vocoders (spectrograms to audio).

    A model offers ``graph(texts)``, where it has a tokenizer, else ``graph()``; either returns an
    :class:`espnet3_core.bundle.export.Graph`.

    Raises:
        UserError: The model offers none.
    """
    offered = getattr(model.model, "graph", None)
    if offered is None:
        name = model.config.model.name
        raise UserError(
            f"model {name} does not say how it becomes a graph",
            hint="give its class a method `graph`, as tts/fastspeech2 and tts/hifigan have",
        )
    if model.tokenizer is None:
        return Export(graphs=(offered(),))
    tokens = "".join(f"{token} {number}\n" for number, token in enumerate(model.tokenizer.tokens))
    return Export(graphs=(offered(_texts(model)),), files={"tokens.txt": tokens})


def _texts(model: LoadedModel) -> list[list[int]]:
    """Ids of texts that mean nothing, and of the bundle's sample where there is one."""
    tokenizer: Any = model.tokenizer
    generator = torch.Generator().manual_seed(0)
    texts = [
        torch.randint(len(tokenizer.tokens), (length,), generator=generator).tolist() for length in _LENGTHS
    ]
    sample = ((model.manifest.sample or {}).get("inputs") or {}).get("text")
    return [*texts, list(tokenizer.encode(sample))] if sample else texts
