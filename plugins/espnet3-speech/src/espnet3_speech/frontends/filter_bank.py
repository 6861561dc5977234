"""Spectra to mel bands."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from espnet3_speech.frontends.mel import Matrix

_GROUP = 40
"""Bands of one product: smaller groups skip more zeros, but each product wakes all threads."""


class FilterBank(nn.Module):
    """Product with a matrix of triangles, in groups of bands: most of such a matrix is zero.

    Args:
        filters: ``(bins, bands)`` weights.
    """

    def __init__(self, filters: Matrix) -> None:
        super().__init__()
        self.spans: list[tuple[int, int]] = []
        for number, first in enumerate(range(0, filters.shape[1], _GROUP)):
            group = torch.from_numpy(filters[:, first : first + _GROUP]).float()
            used = group.any(1).nonzero().flatten().tolist() or [0]
            self.spans.append((used[0], used[-1] + 1))
            part = group[used[0] : used[-1] + 1].contiguous()
            self.register_buffer(f"group_{number}", part, persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        """``(…, bins)`` to ``(…, bands)``."""
        parts = []
        for number, (first, end) in enumerate(self.spans):
            weights = self.get_buffer(f"group_{number}").to(spectrum.dtype)
            parts.append(spectrum[..., first:end] @ weights)
        return torch.cat(parts, dim=-1)


def power_spectrum(frames: Tensor, n_fft: int) -> Tensor:
    """Squared magnitudes of the Fourier transform: ``(…, samples)`` to ``(…, n_fft // 2 + 1)``."""
    spectrum = torch.fft.rfft(frames, n=n_fft)
    return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
