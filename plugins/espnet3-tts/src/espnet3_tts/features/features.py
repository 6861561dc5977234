"""Audio to log-mel spectrogram, energy and fundamental frequency."""

from __future__ import annotations

from typing import NamedTuple

import torch
from espnet3_speech.frontends.filter_bank import FilterBank, power_spectrum
from espnet3_speech.frontends.framing import frames_of, pad_mirrored
from espnet3_speech.frontends.mel import slaney_filters
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn

from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.pitch import QUIET, normalised_difference, period, smoothed


class Acoustic(NamedTuple):
    """Features of a batch, zero in padded frames.

    Attributes:
        mel: ``(batch, frames, n_mels)`` natural logarithm of mel-band magnitudes.
        energy: ``(batch, frames)`` natural logarithm of the magnitude spectrum's Euclidean norm.
        f0: ``(batch, frames)`` Hz; 0 where unvoiced. None where it was not asked for.
        lengths: ``(batch,)`` frames.
    """

    mel: Tensor
    energy: Tensor
    f0: Tensor | None
    lengths: Tensor


class Features(nn.Module):
    """Log-mel spectrogram, energy and fundamental frequency of the same frames.

    There is a frame for each whole hop, and frame ``t`` is centred on sample ``(t + 1/2) hop``, as HiFi-GAN
    has it: so ``frames * hop`` samples can be made of a spectrogram. Each utterance is continued at its
    ends by its own mirror image, which makes the features independent of the batch.

    Args:
        config: All parameters.
        sample_rate: Of the audio, in Hz.
    """

    window: Tensor

    def __init__(self, config: FeaturesConfig, *, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.hop = config.hop
        self.fmax = sample_rate / 2 if config.fmax is None else config.fmax
        filters = slaney_filters(sample_rate, config.n_fft, config.n_mels, config.fmin, self.fmax)
        self.filters = FilterBank(filters)
        self.register_buffer("window", torch.hann_window(config.window), persistent=False)
        self.longest = round(sample_rate / config.f0_min)
        self.shortest = max(2, round(sample_rate / config.f0_max))

    @property
    def output_size(self) -> int:
        """Mel bands."""
        return self.config.n_mels

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Samples to frames."""
        return lengths // self.hop

    def frames(self, speech: Tensor, lengths: Tensor, size: int) -> Tensor:
        """``(batch, samples)`` to ``(batch, frames, size)``, each centred on the middle of its hop."""
        before = (size - self.hop) // 2
        padded = pad_mirrored(speech, lengths, before, size - before, repeat_edge=False)
        return frames_of(padded, speech.shape[1] // self.hop, size, self.hop)

    def magnitudes(self, speech: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, n_fft // 2 + 1)`` magnitudes."""
        frames = self.frames(speech, lengths, self.config.window) * self.window.to(speech.dtype)
        # The epsilon keeps the gradient finite where a spectrogram is a loss.
        return (power_spectrum(frames, self.config.n_fft) + self.config.epsilon).sqrt()

    def mel_of(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes to log-mel bands."""
        return self.filters(magnitudes).clamp(min=self.config.floor).log()

    def f0(self, speech: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames)`` fundamental frequency in Hz, 0 where unvoiced."""
        compared = 2 * self.longest
        frames = self.frames(speech, lengths, compared + self.longest + 1)
        difference = normalised_difference(frames, compared)
        samples, periodic = period(difference, self.shortest, self.config.voicing)
        loudness = frames.square().mean(-1).sqrt()
        valid = valid_mask(self.output_lengths(lengths), frames.shape[1])
        loudest = loudness.masked_fill(~valid, 0.0).amax(1, keepdim=True)
        voiced = periodic & valid & (loudness > QUIET * loudest)
        return smoothed(torch.where(voiced, self.sample_rate / samples, 0.0)) * valid

    @property
    def bins(self) -> int:
        """Of the linear spectrogram."""
        return self.config.n_fft // 2 + 1

    def linear(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Linear spectrogram: ``(batch, frames, bins)`` magnitudes, zero in padding, and frames of each."""
        with torch.autocast(speech.device.type, enabled=False):
            speech = speech if speech.dtype == torch.float64 else speech.float()
            frames = self.output_lengths(lengths)
            return zero_padding(self.magnitudes(speech, lengths), frames), frames

    def forward(self, speech: Tensor, lengths: Tensor, *, pitch: bool = True) -> Acoustic:
        """Features of a batch.

        Args:
            speech: ``(batch, samples)`` in [-1, 1].
            lengths: ``(batch,)`` samples.
            pitch: Whether to look for the fundamental frequency, too.
        """
        with torch.autocast(speech.device.type, enabled=False):
            speech = speech if speech.dtype == torch.float64 else speech.float()
            magnitudes = self.magnitudes(speech, lengths)
            frames = self.output_lengths(lengths)
            energy = magnitudes.square().sum(-1).clamp(min=self.config.floor**2).log() / 2
            return Acoustic(
                zero_padding(self.mel_of(magnitudes), frames),
                energy * valid_mask(frames, energy.shape[1]),
                self.f0(speech, lengths) if pitch else None,
                frames,
            )
