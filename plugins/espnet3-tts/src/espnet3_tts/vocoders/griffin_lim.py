"""Griffin-Lim: audio whose spectrogram is as near as possible to the one given."""

from __future__ import annotations

import torch
from espnet3_speech.frontends.mel import slaney_filters
from torch import Tensor, nn
from torch.nn import functional

from espnet3_tts.features.features import Features
from espnet3_tts.vocoders.config import GriffinLimConfig

_SMALL = 1e-8


class GriffinLim(nn.Module):
    """Log-mel bands to magnitudes by non-negative factorisation, then phases by alternating projections.

    Magnitudes: Lee and Seung 2001, theorem 1, with the filters held fixed. Phases: Griffin and Lim 1984, in
    the fast version of Perraudin, Balazs and Søndergaard 2013 (algorithm 2). Computed in float32, each
    utterance by itself, so that its audio does not depend on the batch.

    Args:
        config: Numbers of iterations.
        features: What the spectrograms were made with.
        seed: Of the first phases, which are random; equal spectrograms give equal audio.
    """

    filters: Tensor
    window: Tensor

    def __init__(self, config: GriffinLimConfig, *, features: Features, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.seed = seed
        self.hop = features.hop
        self.sample_rate = features.sample_rate
        self.n_fft = features.config.n_fft
        parts = features.config
        filters = slaney_filters(self.sample_rate, parts.n_fft, parts.n_mels, parts.fmin, features.fmax)
        self.register_buffer("filters", torch.from_numpy(filters).float(), persistent=False)
        window = functional.pad(features.window, ((self.n_fft - parts.window) // 2,) * 2)
        window = functional.pad(window, (0, self.n_fft - len(window)))
        self.register_buffer("window", window, persistent=False)

    @torch.inference_mode()
    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, n_mels)`` log-mel and ``(batch,)`` lengths to ``(batch, samples)``."""
        speech = mel.new_zeros(len(mel), mel.shape[1] * self.hop, dtype=torch.float32)
        for row, frames in enumerate(lengths.tolist()):
            if frames:
                speech[row, : frames * self.hop] = self.phases(self.magnitudes(mel[row, :frames].float()))
        return speech

    def magnitudes(self, mel: Tensor) -> Tensor:
        """``(frames, n_mels)`` log-mel to ``(frames, bins)`` magnitudes that have these bands."""
        bands = mel.exp()
        # Bins between the triangles of low bands belong to none; they start, and so stay, near zero.
        found = bands @ self.filters.T + _SMALL
        numerator = bands @ self.filters.T
        for _ in range(self.config.inversion):
            found = found * numerator / (found @ self.filters @ self.filters.T + _SMALL)
        return found**self.config.power

    def phases(self, magnitudes: Tensor) -> Tensor:
        """``(frames, bins)`` magnitudes to ``(frames * hop,)`` samples."""
        generator = torch.Generator().manual_seed(self.seed)
        angles = 2 * torch.pi * torch.rand(magnitudes.shape, generator=generator).to(magnitudes)
        current = torch.polar(magnitudes, angles)
        before = torch.zeros_like(current)
        for _ in range(self.config.iterations):
            projected = self._analysis(self._synthesis(current))
            ahead = projected + self.config.momentum * (projected - before)
            current = magnitudes * ahead / (ahead.abs() + _SMALL)
            before = projected
        edge = (self.n_fft - self.hop) // 2
        return self._synthesis(current)[edge : edge + len(magnitudes) * self.hop]

    def _synthesis(self, spectrum: Tensor) -> Tensor:
        """Overlapped and added frames, divided by the window's overlapped squares (equation 6 of 1984)."""
        frames = torch.fft.irfft(spectrum, n=self.n_fft) * self.window
        squares = self.window.square().expand_as(frames)
        return self._overlapped(frames) / self._overlapped(squares).clamp(min=1e-3)

    def _overlapped(self, frames: Tensor) -> Tensor:
        size = (1, (len(frames) - 1) * self.hop + self.n_fft)
        return functional.fold(frames.T[None], size, (1, self.n_fft), stride=(1, self.hop)).flatten()

    def _analysis(self, signal: Tensor) -> Tensor:
        return torch.fft.rfft(signal.unfold(0, self.n_fft, self.hop) * self.window)
