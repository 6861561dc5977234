"""Configurations of the vocoders."""

from __future__ import annotations

from dataclasses import dataclass, field

from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_sizes

from espnet3_tts.models.hifigan.config import GeneratorConfig


@dataclass(kw_only=True)
class GriffinLimConfig:
    """Phases found by iteration (``tts/griffin_lim``): nothing to train."""

    iterations: int = 60
    """Iterations."""
    momentum: float = 0.99
    """Acceleration; 0 is the algorithm of 1984."""
    inversion: int = 20
    """Multiplicative updates that make a linear spectrum of the mel bands."""
    power: float = 1.2
    """Exponent on magnitudes, which sharpens what mel bands have blurred; 1 keeps them."""

    def __post_init__(self) -> None:
        check_sizes(self, "iterations", "inversion")
        if not 0 <= self.momentum < 1 or not 0.5 <= self.power <= 2:
            raise UserError(
                f"griffin_lim: momentum {self.momentum:g} is in [0, 1), and power {self.power:g} in [0.5, 2]"
            )


@dataclass(kw_only=True)
class HifiGanVocoderConfig:
    """A trained HiFi-GAN generator (``tts/hifigan``)."""

    bundle: str | None = None
    """Packed model of ``tts/hifigan``; relative to the recipe."""
    weights: str | None = None
    """Or a generator's checkpoint as its authors publish it, whose sizes ``generator`` gives."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """Sizes of the generator in ``weights``; the default is V1."""

    def __post_init__(self) -> None:
        if self.bundle is not None and self.weights is not None:
            raise UserError("vocoder tts/hifigan: give either a bundle or weights, not both")
