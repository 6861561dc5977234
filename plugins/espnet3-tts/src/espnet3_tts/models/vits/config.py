"""Configuration of VITS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from espnet3_core.component import Component, Slot
from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_shares, check_sizes

from espnet3_tts.models.hifigan.config import DiscriminatorsConfig, GeneratorConfig


@dataclass(kw_only=True)
class WaveNetConfig:
    """Gated convolutions."""

    channels: int = 192
    """Channels."""
    kernel: int = 5
    """Kernel, odd."""
    layers: int = 16
    """Convolutions; in the flow, of each coupling."""

    def __post_init__(self) -> None:
        check_sizes(self, "channels", "layers")
        _check_odd(self.kernel)


@dataclass(kw_only=True)
class DurationConfig:
    """The predictor of durations."""

    kind: Literal["stochastic", "deterministic"] = "stochastic"
    """Draw durations from a distribution that a flow has learned, or predict the mean of their logarithm."""
    channels: int = 192
    """Channels of the convolutions."""
    kernel: int = 3
    """Kernel of the convolutions, odd."""
    dropout: float = 0.5
    """Dropout between them."""
    layers: int = 3
    """Convolutions of a stack, each as many times as wide as its kernel is long (stochastic)."""
    flows: int = 4
    """Couplings of each of the two flows (stochastic)."""
    bins: int = 10
    """Bins of the splines (stochastic)."""
    bound: float = 5.0
    """The splines go from minus this to this, in units of the noise (stochastic)."""
    noise: float = 0.8
    """Factor on the noise from which durations are drawn; 0 always says the same (stochastic)."""

    def __post_init__(self) -> None:
        check_sizes(self, "channels", "layers", "flows")
        check_shares(self, "dropout")
        _check_odd(self.kernel)
        if not 2 <= self.bins <= 100 or self.bound <= 0 or self.noise < 0:
            raise UserError(
                f"duration: bins {self.bins}, bound {self.bound:g} and noise {self.noise:g} make no spline",
                hint="bins are from 2 to 100, bound is above 0, noise is 0 or more",
            )


@dataclass(kw_only=True)
class VitsConfig:
    """VITS (``tts/vits``), trained with the named optimizers ``discriminator`` and ``generator``.

    The defaults are those of the authors' LJ Speech configuration, 36.3 M parameters without discriminators.
    """

    frontend: Annotated[Component, Slot("module", "frontend")] = field(
        default_factory=lambda: Component(name="tts/features", slot=Slot("module", "frontend"))
    )
    """Audio to spectrograms: the linear one is what the posterior encoder reads, the log-mel one a loss."""
    encoder: Annotated[Component, Slot("module", "encoder")] = field(
        default_factory=lambda: Component(name="tts/windowed", slot=Slot("module", "encoder"))
    )
    """Embedded tokens to hidden vectors."""
    token_size: int = 192
    """Dimensions of token embeddings."""
    latent: int = 192
    """Channels of the latent between text and speech, even."""
    posterior: WaveNetConfig = field(default_factory=WaveNetConfig)
    """Spectrogram to the distribution of the latent, in training."""
    flow: WaveNetConfig = field(default_factory=lambda: WaveNetConfig(layers=4))
    """Each coupling of the flow from the latent of speech to that of text."""
    flows: int = 4
    """Couplings."""
    duration: DurationConfig = field(default_factory=DurationConfig)
    """The predictor of durations."""
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    """Latent to waveform."""
    discriminators: DiscriminatorsConfig = field(default_factory=lambda: DiscriminatorsConfig(scales=1))
    """Who tells recordings from copies."""
    speakers: list[str] = field(default_factory=list)
    """Speakers of the data by name, each of whom gets a learned vector; empty for one speaker."""
    speaker_size: int = 256
    """Dimensions of these vectors."""
    segment: int = 32
    """Frames of the pieces, drawn at random, of which the waveform is made in training."""
    noise: float = 0.667
    """Factor on the noise of the latent when speaking; 0 takes its mean."""
    mel_weight: float = 45.0
    """Weight of the distance of log-mel spectrograms."""
    feature_weight: float = 2.0
    """Weight of the distance of the discriminators' hidden features."""
    divergence_weight: float = 1.0
    """Weight of the divergence of the latent of speech from that of text."""
    duration_weight: float = 1.0
    """Weight of the loss of durations."""

    def __post_init__(self) -> None:
        check_sizes(self, "token_size", "latent", "flows", "speaker_size", "segment")
        if self.latent % 2:
            raise UserError(f"latent: {self.latent} channels cannot be halved", hint="choose an even number")
        if self.noise < 0:
            raise UserError(f"noise is {self.noise:g}", hint="choose a factor of 0 or more")
        if len(set(self.speakers)) != len(self.speakers):
            raise UserError("speakers: a name stands twice", hint="name each speaker once")


def _check_odd(kernel: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise UserError(f"kernel: {kernel} is even", hint="choose an odd number")
