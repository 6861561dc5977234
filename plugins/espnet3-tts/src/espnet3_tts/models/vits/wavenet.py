"""Gated convolutions along time, as posterior encoder and flow of VITS have them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from espnet3_tts.models.speakers import SpeakerBias


class WaveNet(nn.Module):
    """Residual layers of gated convolutions that look both ways (van den Oord et al. 2016, section 2.3).

    Args:
        size: Channels.
        kernel: Of the gated convolutions, odd.
        layers: How many.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(self, size: int, kernel: int, layers: int, speaker_size: int = 0) -> None:
        super().__init__()
        self.speakers = nn.ModuleList(SpeakerBias(speaker_size, 2 * size) for _ in range(layers))
        self.gated = nn.ModuleList(
            weight_norm(nn.Conv1d(size, 2 * size, kernel, padding=kernel // 2)) for _ in range(layers)
        )
        # Residual and skip; after the last layer nothing goes on.
        self.mixed = nn.ModuleList(
            weight_norm(nn.Conv1d(size, (1 + (n + 1 < layers)) * size, 1)) for n in range(layers)
        )

    def forward(self, values: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Sum of what all layers say.

        Args:
            values: ``(batch, size, frames)``, zero in padding.
            mask: ``(batch, 1, frames)``, 1 in valid frames and 0 in padding.
            speaker: ``(batch, speaker_size)``.

        Returns:
            ``(batch, size, frames)``, zero in padding.
        """
        total = torch.zeros_like(values)
        for gated, mixed, bias in zip(self.gated, self.mixed, self.speakers, strict=True):
            signal, gate = bias(gated(values), speaker).chunk(2, 1)
            *residual, skip = mixed(signal.tanh() * gate.sigmoid()).split(values.shape[1], 1)
            total = total + skip
            if residual:
                values = (values + residual[0]) * mask
        return total * mask


class PosteriorEncoder(nn.Module):
    """Linear spectrogram to the distribution of the latent (Kim et al. 2021, section 2.5.1).

    Args:
        bins: Of the spectrogram.
        latent: Channels of the latent.
        size: Channels within.
        kernel: Of the convolutions.
        layers: How many.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(
        self, bins: int, latent: int, *, size: int, kernel: int, layers: int, speaker_size: int = 0
    ) -> None:
        super().__init__()
        self.first = nn.Conv1d(bins, size, 1)
        self.layers = WaveNet(size, kernel, layers, speaker_size)
        self.last = nn.Conv1d(size, 2 * latent, 1)

    def forward(
        self, spectrogram: Tensor, mask: Tensor, speaker: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``(batch, bins, frames)`` to means and logarithms of deviations, ``(batch, latent, frames)``."""
        hidden = self.layers(self.first(spectrogram) * mask, mask, speaker)
        mean, log_std = (self.last(hidden) * mask).chunk(2, 1)
        return mean, log_std
