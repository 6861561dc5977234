"""Configuration of the callbacks."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_speech.ranges import check_sizes


@dataclass(kw_only=True)
class PicturesConfig:
    """Alignments and spectrograms of validation utterances (``tts/pictures``)."""

    utterances: int = 2
    """How many, from the first validation batch."""
    every: int = 5
    """Epochs from one picture to the next."""
    audio: bool = True
    """Write what the model says of them, too, by Griffin-Lim; into TensorBoard where that logs."""

    def __post_init__(self) -> None:
        check_sizes(self, "utterances", "every")
