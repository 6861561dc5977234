"""Configuration of Matcha-TTS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_shares, check_sizes

from espnet3_tts.models.predictor_config import PredictorConfig


def _encoder() -> Component:
    sizes = {"output_size": 192, "linear_units": 768, "num_blocks": 6, "kernels": [3, 3]}
    options = {**sizes, "positions": "rope", "attention_dropout": 0.1}
    return Component(name="tts/fft", options=options, slot=Slot("module", "encoder"))


@dataclass(kw_only=True)
class PrenetConfig:
    """Convolutions over embedded tokens, around a residual."""

    layers: int = 3
    """Convolutions; 0 for none."""
    kernel: int = 5
    """Their kernel, odd."""
    dropout: float = 0.5
    """Dropout after each."""

    def __post_init__(self) -> None:
        check_sizes(self, "kernel")
        check_shares(self, "dropout")
        if self.layers < 0 or self.kernel % 2 == 0:
            raise UserError(
                f"prenet: layers {self.layers} are 0 or more, and the kernel {self.kernel} is odd"
            )


@dataclass(kw_only=True)
class UNetConfig:
    """The decoder: a U-Net along time, with a Transformer at each resolution."""

    channels: tuple[int, ...] = (256, 256)
    """Channels at each resolution; each but the first has half of the frames of the one before."""
    blocks: int = 1
    """Transformer blocks at each resolution, on the way down and on the way up."""
    middle_blocks: int = 2
    """Residual blocks, each with such Transformer blocks, between the ways."""
    attention_heads: int = 2
    """Attention heads."""
    head_size: int = 64
    """Dimensions of each head."""
    expansion: int = 4
    """Factor on the channels inside the feed-forward networks."""
    groups: int = 8
    """Groups of channels that are normalised together."""
    dropout: float = 0.05
    """Dropout after attention and inside the feed-forward networks."""

    def __post_init__(self) -> None:
        sizes = ("blocks", "middle_blocks", "attention_heads", "head_size", "expansion", "groups")
        check_sizes(self, *sizes)
        check_shares(self, "dropout")
        if not self.channels or any(size < 1 or size % self.groups for size in self.channels):
            raise UserError(
                f"unet: channels {list(self.channels)} are multiples of the {self.groups} groups",
                hint="choose other channels, or groups that divide them",
            )


@dataclass(kw_only=True)
class MatchaConfig:
    """Matcha-TTS (``tts/matcha``); the defaults are the 18.2 M parameters of Mehta et al. 2024."""

    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(name="tts/features", slot=Slot("module", "frontend"))
    )
    """Audio to spectrogram."""
    token_size: int = 192
    """Dimensions of token embeddings."""
    prenet: PrenetConfig = field(default_factory=PrenetConfig)
    """Embedded tokens to the encoder's input."""
    encoder: Annotated[Component, Slot("module", "encoder")] = field(default_factory=_encoder)
    """To hidden vectors, from which mean spectrogram and durations are made."""
    duration: PredictorConfig = field(default_factory=lambda: PredictorConfig(dropout=0.1))
    """Predictor of durations."""
    unet: UNetConfig = field(default_factory=UNetConfig)
    """Noise and mean spectrogram to the direction in which the noise flows."""
    prior_scale: float = 1.0
    """Of the beta-binomial prior of alignments near the diagonal: it leads while the means know nothing, and
    weighs little against the likelihoods of all bands later; 0 for none, as in the paper."""
    sigma_min: float = 1e-4
    """Standard deviation that is left of the noise at the end of the flow."""
    steps: int = 10
    """Steps of the solver, unless the synthesiser chooses others."""
    temperature: float = 0.667
    """Factor on the noise with which the flow begins, unless the synthesiser chooses another."""
    speakers: list[str] = field(default_factory=list)
    """Speakers of the data by name, each of whom gets a learned vector; empty for one speaker."""

    def __post_init__(self) -> None:
        check_sizes(self, "token_size", "steps")
        check_shares(self, "sigma_min")
        if min(self.temperature, self.prior_scale) < 0:
            raise UserError(
                f"temperature {self.temperature:g} and prior_scale {self.prior_scale:g} are 0 or more"
            )
        if len(set(self.speakers)) != len(self.speakers):
            raise UserError("speakers: a name stands twice")
