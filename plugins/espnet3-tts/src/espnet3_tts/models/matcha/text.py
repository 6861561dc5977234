"""Text to the mean of its spectrogram, and to durations."""

from __future__ import annotations

import torch
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn

from espnet3_tts.models.matcha.config import MatchaConfig, PrenetConfig
from espnet3_tts.models.predictor import Predictor


class Prenet(nn.Module):
    """Convolutions with layer norm, ReLU and dropout, around a residual that is all of it at the beginning.

    Kim et al. 2020, "Glow-TTS", appendix A.

    Args:
        config: Sizes.
        size: Dimensions in and out.
    """

    def __init__(self, config: PrenetConfig, size: int) -> None:
        super().__init__()
        half = config.kernel // 2
        self.convs = nn.ModuleList(
            nn.Conv1d(size, size, config.kernel, padding=half) for _ in range(config.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(config.layers))
        self.dropout = Dropout(config.dropout)
        self.out = nn.Linear(size, size)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, tokens, size)`` to the same shape, zero in padding."""
        valid = valid_mask(lengths, values.shape[1]).unsqueeze(2)
        hidden = values
        for conv, norm in zip(self.convs, self.norms, strict=True):
            hidden = conv(hidden.masked_fill(~valid, 0.0).transpose(1, 2)).transpose(1, 2)
            hidden = self.dropout(norm(hidden).relu())
        return (values + self.out(hidden)).masked_fill(~valid, 0.0)


class TextEncoder(nn.Module):
    """Tokens to a mean spectrogram frame of each, and to the logarithm of its duration.

    Args:
        config: Components and sizes.
        vocab_size: Number of tokens.
        n_mels: Mel bands.
    """

    def __init__(self, config: MatchaConfig, *, vocab_size: int, n_mels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.token_size)
        # Small, as the encoder multiplies its input by the root of its size.
        nn.init.normal_(self.embedding.weight, std=config.token_size**-0.5)
        self.prenet = Prenet(config.prenet, config.token_size)
        self.encoder = config.encoder.build(input_size=config.token_size)
        self.mean = nn.Linear(self.encoder.output_size, n_mels)
        # All alike at first: the search shall not hold on to alignments that chance has made.
        nn.init.zeros_(self.mean.weight)
        nn.init.zeros_(self.mean.bias)
        self.duration = Predictor(config.duration, input_size=self.encoder.output_size)

    def forward(self, text: Tensor, lengths: Tensor, speaker: Tensor | None) -> tuple[Tensor, Tensor]:
        """Means and durations of a batch.

        Args:
            text: ``(batch, tokens)`` ids, padded with -1.
            lengths: ``(batch,)`` tokens.
            speaker: ``(batch, token_size)`` vectors; None where there is one speaker only.

        Returns:
            ``(batch, tokens, n_mels)``, and ``(batch, tokens)`` logarithms of durations in frames, whose
            gradient ends at the predictor. Both are zero in padding.
        """
        text = text[:, : int(lengths.max())]
        embedded = zero_padding(self.embedding(text.clamp(min=0)), lengths)
        hidden = self.prenet(embedded, lengths)
        if speaker is not None:
            hidden = zero_padding(hidden + speaker.unsqueeze(1), lengths)
        hidden = self.encoder(hidden, lengths).features
        means = zero_padding(self.mean(hidden), lengths)
        # The flow's steps are small: they are summed in float32, whatever the layers compute in.
        means = means.to(torch.promote_types(means.dtype, torch.float32))
        return means, self.duration(hidden.detach(), lengths)
