"""Parts of the U-Net. Padding never reaches valid frames: nothing depends on the batch."""

from __future__ import annotations

import torch
from espnet3_speech.layers.attention import attend, join_heads, project_heads
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.layers.linear import FusedLinear
from torch import Tensor, nn

from espnet3_tts.models.matcha.config import UNetConfig


class Snake(nn.Module):
    """Activation ``x + sin(a x)^2 / b`` with ``a`` and ``b`` of each dimension learned as logarithms.

    Ziyin et al. 2020, equation 3, with an amplitude apart from the frequency as in BigVGAN (Lee et al. 2023).

    Args:
        size: Dimensions.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.zeros(size))
        self.amplitude = nn.Parameter(torch.zeros(size))

    def forward(self, values: Tensor) -> Tensor:
        """``(…, size)`` to the same shape."""
        return values + (values * self.frequency.exp()).sin().square() * (-self.amplitude).exp()


class MaskedGroupNorm(nn.Module):
    """Group normalisation (Wu and He 2018) over the valid frames of each utterance.

    Args:
        groups: Groups of channels.
        channels: Channels.
    """

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, channels, frames)`` to the same shape; ``valid`` is ``(batch, 1, frames)`` bool."""
        wide = values if values.dtype == torch.float64 else values.float()
        grouped = wide.unflatten(1, (self.groups, -1))
        inside = valid.unsqueeze(1)
        count = (valid.sum(2) * grouped.shape[2]).clamp(min=1)[..., None, None]
        mean = grouped.masked_fill(~inside, 0.0).sum((2, 3), keepdim=True) / count
        centred = (grouped - mean).masked_fill(~inside, 0.0)
        variance = centred.square().sum((2, 3), keepdim=True) / count
        normal = (centred * (variance + 1e-5).rsqrt()).flatten(1, 2).to(values.dtype)
        return normal * self.weight.unsqueeze(1) + self.bias.unsqueeze(1)


class ConvBlock(nn.Module):
    """Convolution, group norm, Mish.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        groups: Of the norm.
    """

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, 3, padding=1)
        self.norm = MaskedGroupNorm(groups, outputs)
        self.activation = nn.Mish()

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, inputs, frames)`` to ``(batch, outputs, frames)``, zero in padding."""
        hidden = self.conv(values.masked_fill(~valid, 0.0))
        return self.activation(self.norm(hidden, valid)).masked_fill(~valid, 0.0)


class ResidualBlock(nn.Module):
    """Two convolutional blocks around a residual; the time enters between them (Ho et al. 2020, appendix B).

    Args:
        inputs: Channels in.
        outputs: Channels out.
        groups: Of the norms.
        time_size: Dimensions of the embedded time.
    """

    def __init__(self, inputs: int, outputs: int, groups: int, time_size: int) -> None:
        super().__init__()
        self.first = ConvBlock(inputs, outputs, groups)
        self.time = nn.Sequential(nn.Mish(), nn.Linear(time_size, outputs))
        self.second = ConvBlock(outputs, outputs, groups)
        self.residual = nn.Conv1d(inputs, outputs, 1)

    def forward(self, values: Tensor, valid: Tensor, time: Tensor) -> Tensor:
        """``(batch, inputs, frames)`` with ``(batch, time_size)``, to ``(batch, outputs, frames)``."""
        hidden = self.first(values, valid) + self.time(time).unsqueeze(2)
        return self.second(hidden, valid) + self.residual(values)


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward network with :class:`Snake`, each after a layer norm.

    Args:
        config: Sizes.
        size: Channels.
    """

    def __init__(self, config: UNetConfig, size: int) -> None:
        super().__init__()
        self.heads = config.attention_heads
        inner, units = self.heads * config.head_size, config.expansion * size
        self.norm_attention = nn.LayerNorm(size)
        self.project = FusedLinear(size, inner, 3, bias=False)
        self.out = nn.Linear(inner, size)
        self.norm_feed_forward = nn.LayerNorm(size)
        self.feed_forward = nn.Sequential(
            nn.Linear(size, units), Snake(units), Dropout(config.dropout), nn.Linear(units, size)
        )
        self.dropout = Dropout(config.dropout)

    def forward(self, values: Tensor, valid: Tensor) -> Tensor:
        """``(batch, frames, size)`` to the same shape; ``valid`` is ``(batch, 1, frames)`` bool."""
        query, key, value = project_heads(self.project, self.norm_attention(values), 3, self.heads)
        attended = join_heads(attend(query, key, value, valid.unsqueeze(0), 0.0))
        values = values + self.dropout(self.out(attended))
        return values + self.feed_forward(self.norm_feed_forward(values))
