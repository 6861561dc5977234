"""Kaldi-compatible filter-bank energies."""

from __future__ import annotations

import math

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_speech.frontends.config import KaldiFbankConfig
from espnet3_speech.frontends.filter_bank import FilterBank, power_spectrum
from espnet3_speech.frontends.framing import frames_of, map_frames, pad_mirrored
from espnet3_speech.frontends.mel import kaldi_filters
from espnet3_speech.masks import zero_padding

_EPSILON = torch.finfo(torch.float32).eps


def kaldi_window(kind: str, size: int) -> Tensor:
    """Symmetric window of ``size`` samples; ``povey`` is a Hann window to the power of 0.85."""
    phase = 2 * math.pi * torch.arange(size, dtype=torch.float64) / (size - 1)
    match kind:
        case "povey":
            return (0.5 - 0.5 * phase.cos()).pow(0.85)
        case "hanning":
            return 0.5 - 0.5 * phase.cos()
        case "hamming":
            return 0.54 - 0.46 * phase.cos()
        case "blackman":
            return 0.42 - 0.5 * phase.cos() + 0.08 * (2 * phase).cos()
        case "rectangular":
            return torch.ones(size, dtype=torch.float64)
    raise ValueError(f"unknown window {kind!r}")


class KaldiFbank(nn.Module):
    """Logarithm of mel-band energies, computed as Kaldi does (Povey et al. 2011; ``compute-fbank-feats``).

    Per frame: mean removed, first difference, window, power spectrum, triangles in HTK's mel scale, natural
    logarithm. Dither is added in training only. Float32 under autocast, float64 for float64 input.

    Args:
        config: Sizes and options.
        sample_rate: Of the audio, in Hz.
    """

    window: Tensor

    def __init__(self, config: KaldiFbankConfig, *, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.hop = int(config.hop_ms * sample_rate / 1000)
        self.size = int(config.window_ms * sample_rate / 1000)
        if self.hop < 1 or self.size < 2:
            raise UserError(
                f"frontend: a window of {self.size} samples and a hop of {self.hop} are too short",
                hint=f"at {sample_rate} Hz choose larger window_ms and hop_ms",
            )
        self.n_fft = 1 << (self.size - 1).bit_length()
        fmax = config.fmax if config.fmax > 0 else sample_rate / 2 + config.fmax
        filters = kaldi_filters(sample_rate, self.n_fft, config.n_mels, config.fmin, fmax)
        window = kaldi_window(config.window, self.size).float()
        self.starts_high = bool(window[0] != 0)
        self.register_buffer("window", window, persistent=False)
        self.filters = FilterBank(filters)

    @property
    def output_size(self) -> int:
        """Number of features per frame."""
        return self.config.n_mels + int(self.config.use_energy)

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Samples to frames; with ``snip_edges`` recordings shorter than a window have none."""
        if self.config.snip_edges:
            return (torch.div(lengths - self.size, self.hop, rounding_mode="floor") + 1).clamp(min=0)
        return torch.div(lengths + self.hop // 2, self.hop, rounding_mode="floor")

    def _frames(self, samples: int) -> int:
        """:meth:`output_lengths` of one number, without a tensor: graphs of any length are made from it."""
        if self.config.snip_edges:
            return max((samples - self.size) // self.hop + 1, 0)
        return (samples + self.hop // 2) // self.hop

    def forward(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch.

        Args:
            speech: ``(batch, samples)`` in [-1, 1].
            lengths: ``(batch,)`` samples.

        Returns:
            ``(batch, frames, features)``, zero in padded frames, and ``(batch,)`` frames.
        """
        with torch.autocast(speech.device.type, enabled=False):
            speech = (speech if speech.dtype == torch.float64 else speech.float()) * self.config.scale
            count = self._frames(speech.shape[1])
            if count == 0:
                return speech.new_zeros(speech.shape[0], 0, self.output_size), self.output_lengths(lengths)
            if not self.config.snip_edges:
                before = self.size // 2 - self.hop // 2
                speech = pad_mirrored(speech, lengths, before, self.size, repeat_edge=True)
            if self.config.dither > 0 and self.training:
                speech = speech + self.config.dither * torch.randn_like(speech)
            features = self._features(speech, count)
            lengths = self.output_lengths(lengths)
            return zero_padding(features, lengths), lengths

    def _features(self, speech: Tensor, count: int) -> Tensor:
        config = self.config
        raw = frames_of(speech, count, self.size, self.hop)
        mean = raw.mean(-1, keepdim=True) if config.remove_dc else raw.new_zeros(1, 1, 1)
        frames = self._windowed(speech, raw, mean)
        features = map_frames(self._bands, frames).clamp_(min=_EPSILON).log_()
        if not config.use_energy:
            return features
        return torch.cat([self._log_energy(raw - mean if config.raw_energy else frames), features], dim=-1)

    def _bands(self, frames: Tensor) -> Tensor:
        """Energies (or sums of magnitudes) of mel bands."""
        power = power_spectrum(frames, self.n_fft)
        return self.filters(power if self.config.use_power else power.sqrt())

    def _windowed(self, speech: Tensor, raw: Tensor, mean: Tensor) -> Tensor:
        """Frames less their mean, differenced and windowed: ``w (x - c x' - (1 - c) mean)``.

        The difference is taken once over the recording, not in each frame; the first sample of a frame,
        which is its own predecessor, is put right afterwards.
        """
        window, factor = self.window.to(speech.dtype), self.config.preemphasis
        signal = torch.cat([speech[:, :1], torch.sub(speech[:, 1:], speech[:, :-1], alpha=factor)], dim=1)
        frames = frames_of(signal, raw.shape[1], self.size, self.hop) * window
        if self.config.remove_dc:
            frames = frames.addcmul_(mean, window, value=factor - 1)
        if factor and self.starts_high:
            frames[..., 0] = (1 - factor) * (raw[..., 0] - mean[..., 0]) * window[0]
        return frames

    def _log_energy(self, frames: Tensor) -> Tensor:
        energy = frames.square().sum(-1, keepdim=True).clamp(min=_EPSILON).log()
        if self.config.energy_floor > 0:
            energy = energy.clamp(min=math.log(self.config.energy_floor))
        return energy
