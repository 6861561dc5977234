"""The flow between the latent of speech and that of text."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet3_tts.models.vits.wavenet import WaveNet


class Coupling(nn.Module):
    """Shifts one half of the channels by what the other half says (Dinh et al. 2017, section 3.2).

    It only shifts, so volume is preserved: the logarithm of the Jacobian's determinant is 0 (Kim et al.
    2021, section 2.5.2). The last layer begins at 0, and the coupling as the identity.

    Args:
        channels: Even.
        size: Channels within.
        kernel: Of the convolutions.
        layers: How many.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(self, channels: int, *, size: int, kernel: int, layers: int, speaker_size: int = 0) -> None:
        super().__init__()
        half = channels // 2
        self.first = nn.Conv1d(half, size, 1)
        self.layers = WaveNet(size, kernel, layers, speaker_size)
        self.last = nn.Conv1d(size, half, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(
        self, values: Tensor, mask: Tensor, speaker: Tensor | None = None, *, inverse: bool = False
    ) -> Tensor:
        """``(batch, channels, frames)`` to the same shape, zero in padding."""
        kept, moved = values.chunk(2, 1)
        shift = self.last(self.layers(self.first(kept) * mask, mask, speaker)) * mask
        moved = moved - shift if inverse else moved + shift
        return torch.cat([kept, moved * mask], 1)


class CouplingFlow(nn.Module):
    """Couplings, after each of which the channels are turned around.

    Args:
        count: Couplings.
        channels: Even.
        sizes: Of each coupling.
    """

    def __init__(self, count: int, channels: int, **sizes: int) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(Coupling(channels, **sizes) for _ in range(count))

    def forward(self, values: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Latent of speech to latent of text, both ``(batch, channels, frames)``."""
        for coupling in self.couplings:
            values = coupling(values, mask, speaker).flip(1)
        return values

    def inverse(self, values: Tensor, mask: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Latent of text to latent of speech."""
        for coupling in reversed(self.couplings):
            values = coupling(values.flip(1), mask, speaker, inverse=True)
        return values
