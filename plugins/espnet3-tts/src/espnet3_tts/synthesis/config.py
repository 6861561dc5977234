"""Configuration of synthesis."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_sizes

LIMITS = {"speed": (0.25, 4.0), "pitch": (0.25, 4.0), "energy": (0.1, 10.0)}


@dataclass(kw_only=True)
class SynthesizerConfig:
    """Text to audio with a trained acoustic model (``tts/synthesizer``)."""

    vocoder: Annotated[Component, Slot("module", "vocoder")] | None = None
    """Spectrogram to audio: ``tts/griffin_lim`` if none is chosen; none with a model that makes audio."""
    speed: float = 1.0
    """Factor on the rate of speech: 2 is twice as fast."""
    pitch: float = 1.0
    """Factor on the fundamental frequency: 1.06 is a semitone up."""
    energy: float = 1.0
    """Factor on the amplitude of what is spoken, as the model renders it."""
    steps: int | None = None
    """Steps of the model's solver, where it has one: more are slower and better; None for the model's own."""
    temperature: float | None = None
    """Factor on the noise that becomes speech, not on that of durations; None for the model's own."""
    sentence_pause: float = 0.3
    """Seconds of silence between sentences, each of which is spoken by itself."""
    piece_pause: float = 0.1
    """Seconds of silence where a sentence is cut because it is longer than ``max_tokens``."""
    max_tokens: int = 300
    """Longest piece; a longer sentence is cut after its last mark within, between words, or anywhere."""
    batch_tokens: int = 6000
    """Most padded tokens that go through the model together."""

    seed: int = 0
    """Of whatever the model or the vocoder draws."""

    def __post_init__(self) -> None:
        check_sizes(self, "max_tokens", "batch_tokens", "steps")
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise UserError(f"{name} is {getattr(self, name):g}; it goes from {low:g} to {high:g}")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise UserError(f"temperature is {self.temperature:g}; it goes from 0 to 2")
        if min(self.sentence_pause, self.piece_pause) < 0:
            raise UserError("pauses are seconds, 0 or more")


def griffin_lim() -> Component:
    """The vocoder where none is chosen."""
    return Component(name="tts/griffin_lim", slot=Slot("module", "vocoder"))


@dataclass(kw_only=True)
class CopySynthesisConfig:
    """Recordings through features and vocoder (``tts/copy_synthesis``): the best that the vocoder can do."""

    vocoder: Annotated[Component, Slot("module", "vocoder")] = field(default_factory=griffin_lim)
    """Spectrogram to audio."""
    seed: int = 0
    """Of whatever the vocoder draws."""


@dataclass(kw_only=True)
class AlignmentsConfig:
    """Recordings and their texts, aligned by the model (``tts/alignment``)."""
