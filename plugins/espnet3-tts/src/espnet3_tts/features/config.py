"""Configuration of the features."""

from __future__ import annotations

from dataclasses import dataclass

from espnet3_core.errors import UserError
from espnet3_speech.ranges import check_sizes

SPECTRAL = ("n_fft", "hop", "window", "n_mels", "fmin", "fmax", "floor", "epsilon")
"""What the spectrograms of two models must have in common for one to speak what the other predicts."""


@dataclass(kw_only=True)
class FeaturesConfig:
    """Log-mel spectrogram, energy and fundamental frequency (``tts/features``).

    The defaults are those of HiFi-GAN at 22.05 kHz (Kong et al. 2020, configuration V1).
    """

    n_fft: int = 1024
    """Points of the Fourier transform."""
    hop: int = 256
    """Samples from one frame to the next."""
    window: int = 1024
    """Samples of the periodic Hann window, in the middle of the transform."""
    n_mels: int = 80
    """Mel bands: triangles of area 1 on Slaney's scale."""
    fmin: float = 0.0
    """Lower edge of the first band in Hz."""
    fmax: float | None = 8000.0
    """Upper edge of the last band in Hz; None for half of the sample rate."""
    floor: float = 1e-5
    """Smallest band magnitude before the natural logarithm."""
    epsilon: float = 1e-9
    """Added to the power of each bin before the square root that makes a magnitude of it."""
    f0_min: float = 60.0
    """Lowest fundamental frequency that is looked for, in Hz."""
    f0_max: float = 500.0
    """Highest fundamental frequency that is looked for, in Hz."""
    voicing: float = 0.35
    """A frame is voiced when its aperiodicity (YIN's normalised difference) falls below this."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_fft", "hop", "window", "n_mels")
        if not self.hop <= self.window <= self.n_fft or (self.n_fft - self.hop) % 2:
            raise UserError(
                f"features: hop {self.hop}, window {self.window} and n_fft {self.n_fft} do not fit",
                hint="hop <= window <= n_fft, and n_fft - hop is even",
            )
        if not 0 < self.f0_min < self.f0_max:
            raise UserError(f"features: f0_min {self.f0_min:g} is not below f0_max {self.f0_max:g}")
        if not 0 < self.voicing < 1:
            raise UserError(f"features: voicing is {self.voicing:g}; a number between 0 and 1 is wanted")
