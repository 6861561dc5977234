"""Configuration of HiFi-GAN."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_sizes


@dataclass(kw_only=True)
class GeneratorConfig:
    """Spectrogram to waveform; the defaults are V1 of Kong et al. 2020, table 5."""

    channels: int = 512
    """Channels before the first upsampling; each halves them."""
    upsampling: tuple[int, ...] = (8, 8, 2, 2)
    """Factors, whose product is the hop of the spectrogram."""
    upsampling_kernels: tuple[int, ...] = (16, 16, 4, 4)
    """Kernels of the upsampling convolutions: as even or odd as the factors."""
    block: Literal["pairs", "single"] = "pairs"
    """Residual blocks: a plain convolution follows each dilated one (pairs: V1, V2), or none does (V3)."""
    kernels: tuple[int, ...] = (3, 7, 11)
    """Kernels of the residual blocks that run side by side, odd."""
    dilations: tuple[tuple[int, ...], ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    """Dilations in each of them."""

    def __post_init__(self) -> None:
        check_sizes(self, "channels")
        if len(self.upsampling) != len(self.upsampling_kernels) or any(
            kernel < factor or (kernel - factor) % 2
            for factor, kernel in zip(self.upsampling, self.upsampling_kernels, strict=False)
        ):
            raise UserError(
                f"generator: upsampling {list(self.upsampling)} and kernels {list(self.upsampling_kernels)} "
                "do not fit",
                hint="as many kernels as factors, each at least its factor, their difference even",
            )
        if len(self.kernels) != len(self.dilations) or any(kernel % 2 == 0 for kernel in self.kernels):
            raise UserError("generator: kernels are odd, and each has its list of dilations")
        if self.channels % 2 ** len(self.upsampling):
            raise UserError(
                f"generator: {self.channels} channels cannot be halved {len(self.upsampling)} times"
            )

    @property
    def hop(self) -> int:
        """Samples of a frame."""
        return prod(self.upsampling)


@dataclass(kw_only=True)
class DiscriminatorsConfig:
    """Who tells recordings from copies; the defaults are those of Kong et al. 2020."""

    periods: tuple[int, ...] = (2, 3, 5, 7, 11)
    """Periods by which samples are folded."""
    scales: int = 3
    """Discriminators of the waveform: as it is, averaged over 2 samples, over 4 …; 0 for none."""
    divisor: int = 1
    """Divides all channels: 1024 at most by default. A power of two."""

    def __post_init__(self) -> None:
        check_sizes(self, "divisor")
        if self.divisor not in (1, 2, 4, 8):
            raise UserError(f"discriminators: divisor is 1, 2, 4 or 8, not {self.divisor}")
        if self.scales < 0 or not (self.periods or self.scales):
            raise UserError("discriminators: there are none")


@dataclass(kw_only=True)
class HifiGanConfig:
    """HiFi-GAN, trained with the named optimizers ``discriminator`` and ``generator`` (``tts/hifigan``)."""

    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(name="tts/features", slot=Slot("module", "frontend"))
    )
    """Audio to spectrogram: as in the acoustic models whose spectrograms it shall speak."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """Spectrogram to waveform."""
    discriminators: DiscriminatorsConfig = field(default_factory=DiscriminatorsConfig)
    """Who tells recordings from copies."""
    segment: int = 32
    """Frames of the pieces, drawn at random, on which it is trained."""
    mel_weight: float = 45.0
    """Weight of the distance of spectrograms."""
    feature_weight: float = 2.0
    """Weight of the distance of the discriminators' hidden features."""

    def __post_init__(self) -> None:
        check_sizes(self, "segment")
