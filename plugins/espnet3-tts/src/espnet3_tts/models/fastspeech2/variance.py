"""Durations, pitch and energy of tokens: their averages, predictors and embeddings."""

from __future__ import annotations

import torch
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.exporting import exporting
from espnet3_speech.masks import valid_mask
from torch import Tensor, nn

from espnet3_tts.aligners.forward_sum import owners
from espnet3_tts.models.fastspeech2.config import PredictorConfig


class Predictor(nn.Module):
    """One number per token: convolutions with ReLU, layer norm and dropout, then a linear layer.

    Ren et al. 2021, figure 1(c).

    Args:
        config: Sizes.
        input_size: Dimensions of the hidden vectors.
    """

    def __init__(self, config: PredictorConfig, *, input_size: int) -> None:
        super().__init__()
        sizes = [input_size] + [config.channels] * config.layers
        half = config.kernel // 2
        self.convs = nn.ModuleList(
            nn.Conv1d(sizes[n], sizes[n + 1], config.kernel, padding=half) for n in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(config.channels) for _ in range(config.layers))
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(config.channels, 1)

    def forward(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, tokens, size)`` to ``(batch, tokens)``, zero in padding."""
        valid = valid_mask(lengths, hidden.shape[1])
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = conv((hidden * valid.unsqueeze(2)).transpose(1, 2)).transpose(1, 2)
            hidden = self.dropout(norm(hidden.relu()))
        return self.out(hidden).squeeze(2) * valid


class VarianceEmbedding(nn.Module):
    """One number per token to a vector, through a convolution (Łańcucki 2021, "FastPitch", section 2.1).

    Args:
        size: Dimensions of the vectors.
        kernel: Tokens that it sees, odd.
    """

    def __init__(self, size: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, size, kernel, padding=kernel // 2)

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, tokens)``, zero in padding, to ``(batch, tokens, size)``."""
        return self.conv(values.unsqueeze(1)).transpose(1, 2)


def gamma_deviance(logs: Tensor, durations: Tensor) -> Tensor:
    """Error of predicted durations that is least where they are right on average.

    Deviance of the gamma distribution, ``2 (d / m - 1 - log(d / m))`` (McCullagh and Nelder 1989, table 2.1).
    It is near the square of the logarithm's error, which is least at the mean of the logarithms, however, so
    that speech comes out too short.

    Args:
        logs: ``(batch, tokens)`` logarithms of the predicted durations ``m``.
        durations: ``(batch, tokens)`` real ones ``d``, positive.
    """
    excess = durations.float().log() - logs.float()
    return 2 * (excess.expm1() - excess)


def token_means(values: Tensor, counted: Tensor, durations: Tensor) -> Tensor:
    """Means over the frames of each token.

    Args:
        values: ``(batch, frames)``.
        counted: ``(batch, frames)`` bool, frames that count.
        durations: ``(batch, tokens)`` frames of each token.

    Returns:
        ``(batch, tokens)``; 0 where no frame counts.
    """
    token = owners(durations, values.shape[1])
    counted = counted & (token >= 0)
    place = token.clamp(min=0)
    zeros = values.new_zeros(durations.shape)
    sums = zeros.scatter_add(1, place, values.masked_fill(~counted, 0.0))
    return sums / zeros.scatter_add(1, place, counted.to(values.dtype)).clamp(min=1)


def expanded(hidden: Tensor, durations: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's vector as often as its duration (Ren et al. 2019, section 3.2).

    Returns:
        ``(batch, frames, size)``, zero in padding, and ``(batch,)`` frames.
    """
    lengths = durations.sum(1)
    frames = int(lengths.max())
    if exporting():
        torch._check(frames >= 2)  # A graph has no branches: less would need one of its own.
    else:
        frames = max(frames, 1)
    token = owners(durations, frames)
    index = token.clamp(min=0).unsqueeze(2).expand(-1, -1, hidden.shape[2])
    return hidden.gather(1, index) * (token >= 0).unsqueeze(2), lengths


def rounded(durations: Tensor) -> Tensor:
    """Whole durations whose sums stay within half a frame of those of ``(batch, tokens)`` real ones."""
    ends = (durations.cumsum(1) + 0.5).floor().to(torch.int64)
    return torch.diff(ends, dim=1, prepend=torch.zeros_like(ends[:, :1]))
