"""Options of the components; imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot

BY_FOLDER = r"(?P<label>[^/]+)/.*"
BY_NAME = r"(?:.*/)?(?P<label>[^/_]+)_[^/]*"


@dataclass(kw_only=True)
class FolderConfig:
    """A folder of audio with labels in its paths."""

    path: str
    """The folder; relative paths start at the recipe."""
    pattern: str = BY_FOLDER
    """Regular expression over a file's path below the folder, without its suffix, with a group ``label``.
    Files that it does not match as a whole are left out."""
    part: Literal["all", "train", "valid", "test"] = "all"
    """A share of the files, which is the same each time: a tenth each for ``valid`` and ``test``."""

    def __post_init__(self) -> None:
        try:
            groups = re.compile(self.pattern).groupindex
        except re.error as error:
            raise ValueError(f"`pattern` is not a regular expression: {error}") from None
        if "label" not in groups:
            raise ValueError("`pattern` has no group (?P<label>…)")


@dataclass(kw_only=True)
class ClassifierConfig:
    """A convolutional classifier."""

    labels: tuple[str, ...]
    """All labels; their order is that of the outputs."""
    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(
            name="speech/log_mel", options={"n_mels": 40}, slot=Slot("module", "frontend")
        )
    )
    """Audio to features."""
    channels: int = 64
    """Channels of each layer."""
    layers: int = 4
    """Convolutions; every second one halves the frame rate."""
    dropout: float = 0.2
    """Before the output layer."""

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels) or len(self.labels) < 2:
            raise ValueError("`labels` has to list two labels or more, each once")


@dataclass(kw_only=True)
class AccuracyConfig:
    """Accuracy of labels."""

    inputs: dict[str, str] = field(default_factory=dict)
    """Other fields than ``label`` of the results and of the data."""
