"""Configuration of core's publishers, and the schema of a bundle's own ``config.json``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from espnet3_core.component import Component, Slot
from espnet3_core.config.roles import InferenceBatchConfig


@dataclass(kw_only=True)
class DirectoryConfig:
    """A folder to copy bundles to."""

    path: str
    """The folder; relative to the recipe. It is made when it does not exist."""
    overwrite: bool = False
    """Replace files of the same name that have other contents; otherwise they stop the upload."""


@dataclass(kw_only=True)
class BundleConfig:
    """``config.json``: what loading builds, by name, with every default written out."""

    sample_rate: int | None = None
    """Rate in Hz of the audio that reaches or leaves the model."""
    seed: int = 0
    """Seed that training had."""
    model: Annotated[Component, Slot("model")]
    """The network."""
    tokenizer: Annotated[Component, Slot("tokenizer")] | None = None
    """Text to token ids."""
    collator: Annotated[Component, Slot("collator")] = field(
        default_factory=lambda: Component(name="core/pad")
    )
    """Items to a batch."""
    preprocess: list[Annotated[Component, Slot("transform")]] = field(default_factory=list)
    """Transforms of every item."""
    search: Annotated[Component, Slot("search")] | None = None
    """Decoder; None uses the model's own ``infer``."""
    batch: InferenceBatchConfig = field(default_factory=InferenceBatchConfig)
    """Batching."""
