"""One number per token, predicted: its duration, pitch or energy."""

from __future__ import annotations

import torch
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.masks import valid_mask
from torch import Tensor, nn

from espnet3_tts.models.predictor_config import PredictorConfig


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
        """``(batch, tokens, size)`` to ``(batch, tokens)``, zero in padding, at least in float32."""
        valid = valid_mask(lengths, hidden.shape[1])
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = conv((hidden * valid.unsqueeze(2)).transpose(1, 2)).transpose(1, 2)
            hidden = self.dropout(norm(hidden.relu()))
        found = self.out(hidden).squeeze(2)
        # Sums of durations are too coarse in half precision.
        return found.to(torch.promote_types(found.dtype, torch.float32)) * valid
