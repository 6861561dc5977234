"""Configurations of the front ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from espnet3_core.errors import UserError

from espnet3_speech.ranges import check_sizes


@dataclass(kw_only=True)
class LogMelConfig:
    """Log-mel spectrogram of centred frames (``speech/log_mel``)."""

    window_ms: float = 25.0
    """Length of the Hann window in milliseconds."""
    hop_ms: float = 10.0
    """Distance between frames in milliseconds."""
    n_fft: int | None = None
    """FFT size in samples; None for the smallest power of two that holds the window."""
    n_mels: int = 80
    """Number of mel bands, which is the number of features."""
    fmin: float = 0.0
    """Lower edge of the first band in Hz."""
    fmax: float | None = None
    """Upper edge of the last band in Hz; None for half of the sample rate."""
    floor: float = 1e-10
    """Smallest band energy before the natural logarithm."""
    gain_window_ms: float | None = None
    """Even out levels that jump within a recording: each frame is divided by the loudest one among the frames
    so many milliseconds around it, averaged over as many. About the length of a syllable; None for not."""
    most_gain_db: float = 45.0
    """Gain control raises quiet frames by at most this much more than the loudest ones: pauses stay quiet."""
    dynamic_range_db: float | None = None
    """Bands more than this many dB below the loudest band of the utterance are raised to that level, so
    that recordings of other levels and noise floors look alike, digital silence included. None keeps them."""
    range_per_band: bool = False
    """Measure ``dynamic_range_db`` in each band from its own loudest frame: weak high frequencies stay above
    the floor, whatever the microphone made of them."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_mels")
        least = 2 * self.hop_ms
        if self.gain_window_ms is not None and self.gain_window_ms < least:
            raise UserError(
                f"gain_window_ms must be at least {least:g}, two frames; it is {self.gain_window_ms:g}"
            )
        if self.most_gain_db < 0:
            raise UserError(f"most_gain_db must not be negative; it is {self.most_gain_db:g}")


@dataclass(kw_only=True)
class KaldiFbankConfig:
    """Filter-bank energies as Kaldi computes them (``speech/kaldi_fbank``)."""

    window_ms: float = 25.0
    """Length of the window in milliseconds."""
    hop_ms: float = 10.0
    """Distance between frames in milliseconds."""
    window: Literal["povey", "hamming", "hanning", "rectangular", "blackman"] = "povey"
    """Shape of the window."""
    n_mels: int = 80
    """Number of mel bands."""
    fmin: float = 20.0
    """Lower edge of the first band in Hz."""
    fmax: float = 0.0
    """Upper edge of the last band in Hz; zero or below counts from half of the sample rate."""
    dither: float = 0.0
    """Standard deviation of the noise added in training, in 16-bit steps; Kaldi's own default is 1."""
    preemphasis: float = 0.97
    """Coefficient of the first difference within each frame; 0 for none."""
    remove_dc: bool = True
    """Subtract the mean of each frame."""
    snip_edges: bool = True
    """Only frames that lie within the recording; False mirrors it at its ends and gives one frame per hop."""
    use_energy: bool = False
    """Put the log energy of the frame before the bands."""
    raw_energy: bool = True
    """Measure the energy before pre-emphasis and window."""
    energy_floor: float = 0.0
    """Smallest energy of the frame before the logarithm."""
    use_power: bool = True
    """Bands sum the power spectrum; False sums magnitudes."""
    scale: float = 32768.0
    """Factor on samples in [-1, 1]: Kaldi reads 16-bit integers."""

    def __post_init__(self) -> None:
        check_sizes(self, "n_mels")
