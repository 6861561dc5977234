"""Configuration of FastSpeech 2."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_sizes

from espnet3_tts.models.predictor_config import PredictorConfig


def _fft() -> Component:
    return Component(name="tts/fft", slot=Slot("module", "encoder"))


@dataclass(kw_only=True)
class AlignerConfig:
    """The aligner that is learned with the model (Badlani et al. 2021)."""

    size: int = 80
    """Dimensions in which tokens and frames are compared."""
    temperature: float = 0.0005
    """Factor on squared distances."""
    prior_scale: float = 1.0
    """Of the beta-binomial prior of alignments near the diagonal; 0 for no prior."""
    loss_weight: float = 1.0
    """Weight of the forward-sum loss."""
    binarization_weight: float = 1.0
    """Weight of the loss that draws soft alignments to hard ones, once it is full."""
    binarization_start: int = 600
    """Training steps before that loss begins."""
    binarization_ramp: int = 600
    """Steps in which it grows to its weight."""

    def __post_init__(self) -> None:
        check_sizes(self, "size", "binarization_ramp")


@dataclass(kw_only=True)
class FastSpeech2Config:
    """FastSpeech 2 (``tts/fastspeech2``); sizes of Ren et al. 2021, table 7 (27 M parameters there)."""

    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(name="tts/features", slot=Slot("module", "frontend"))
    )
    """Audio to spectrogram, energy and fundamental frequency."""
    token_size: int = 256
    """Dimensions of token embeddings."""
    encoder: Annotated[Component, Slot("module", "encoder")] = field(default_factory=_fft)
    """Embedded tokens to hidden vectors."""
    decoder: Annotated[Component, Slot("module", "encoder")] = field(default_factory=_fft)
    """Hidden vectors of frames to those from which the spectrogram is made."""
    aligner: AlignerConfig = field(default_factory=AlignerConfig)
    """How tokens are aligned with frames."""
    predictor: PredictorConfig = field(default_factory=PredictorConfig)
    """Predictors of duration, pitch and energy."""
    variance_kernel: int = 3
    """Kernel of the convolutions through which pitch and energy enter, odd."""
    speakers: list[str] = field(default_factory=list)
    """Speakers of the data by name, each of whom gets a learned vector; empty for one speaker."""
    statistics: Literal["global", "speaker"] = "global"
    """Whether pitch and energy are relative to all data or to each speaker's."""

    def __post_init__(self) -> None:
        check_sizes(self, "token_size", "variance_kernel")
        if self.statistics == "speaker" and not self.speakers:
            raise UserError(
                "statistics: speaker needs the names of the speakers", hint="list them in speakers"
            )
        if len(set(self.speakers)) != len(self.speakers):
            raise UserError("speakers: a name stands twice")
        if self.variance_kernel % 2 == 0:
            raise UserError(f"variance_kernel is odd, not {self.variance_kernel}")
