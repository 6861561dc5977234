"""Log-mel spectrogram."""

from __future__ import annotations

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn
from torch.nn import functional

from espnet3_speech.frontends.config import LogMelConfig
from espnet3_speech.frontends.filter_bank import FilterBank, power_spectrum
from espnet3_speech.frontends.framing import frames_of, map_frames, pad_mirrored
from espnet3_speech.frontends.gain_control import local_level
from espnet3_speech.frontends.mel import slaney_filters
from espnet3_speech.masks import valid_mask, zero_padding


class LogMel(nn.Module):
    """Logarithm of mel-band energies of the short-time Fourier transform.

    Frames are centred on multiples of the hop; each utterance is continued by its own mirror image, so
    padding and batching change nothing. Computed in float32 under autocast, in float64 for float64 input.
    Davis and Mermelstein 1980, section II (filter bank); mel scale and band areas as in Slaney's Auditory
    Toolbox (1998).

    Args:
        config: Sizes.
        sample_rate: Of the audio, in Hz.
    """

    window: Tensor

    def __init__(self, config: LogMelConfig, *, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.hop = round(config.hop_ms * sample_rate / 1000)
        window = round(config.window_ms * sample_rate / 1000)
        self.n_fft = config.n_fft or 1 << max(window - 1, 1).bit_length()
        if self.hop < 1 or window < 2 or window > self.n_fft:
            raise UserError(
                f"frontend: window of {window} samples, hop of {self.hop} and n_fft {self.n_fft} do not fit",
                hint=f"at {sample_rate} Hz choose larger window_ms and hop_ms, and n_fft >= window",
            )
        fmax = config.fmax if config.fmax is not None else sample_rate / 2
        filters = slaney_filters(sample_rate, self.n_fft, config.n_mels, config.fmin, fmax)
        # In the middle of the FFT frame: zeros in the window cost less than filling up every frame.
        margin = (self.n_fft - window) // 2
        centred = functional.pad(torch.hann_window(window), (margin, self.n_fft - window - margin))
        self.register_buffer("window", centred, persistent=False)
        self.filters = FilterBank(filters)

    @property
    def output_size(self) -> int:
        """Number of features per frame."""
        return self.config.n_mels

    def output_lengths(self, lengths: Tensor) -> Tensor:
        """Samples to frames: one frame per hop begun, and one for the end."""
        return lengths // self.hop + 1

    def forward(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features of a batch.

        Args:
            speech: ``(batch, samples)`` in [-1, 1].
            lengths: ``(batch,)`` samples.

        Returns:
            ``(batch, frames, n_mels)``, zero in padded frames, and ``(batch,)`` frames.
        """
        with torch.autocast(speech.device.type, enabled=False):
            speech = speech if speech.dtype == torch.float64 else speech.float()
            half = self.n_fft // 2
            count = speech.shape[1] // self.hop + 1
            padded = pad_mirrored(speech, lengths, half, self.n_fft - half, repeat_edge=False)
            window = self.window.to(speech.dtype)
            energies = map_frames(
                lambda frames: self.filters(power_spectrum(frames * window, self.n_fft)),
                frames_of(padded, count, self.n_fft, self.hop),
            )
            lengths = self.output_lengths(lengths)
            if self.config.gain_window_ms is not None:
                reach = round(self.config.gain_window_ms / self.config.hop_ms / 2)
                energies = energies / local_level(
                    energies, lengths, reach, self.config.most_gain_db, self.config.floor
                )
            if self.config.dynamic_range_db is not None:
                over = 1 if self.config.range_per_band else (1, 2)
                loudest = zero_padding(energies, lengths).amax(dim=over, keepdim=True)
                energies = torch.maximum(energies, loudest * 10 ** (-self.config.dynamic_range_db / 10))
            features = energies.clamp_(min=self.config.floor).log_()
            return features.masked_fill_(~valid_mask(lengths, count).unsqueeze(-1), 0.0), lengths
