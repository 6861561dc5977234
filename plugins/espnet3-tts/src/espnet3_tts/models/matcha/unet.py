"""The U-Net that says in which direction noise flows."""

from __future__ import annotations

import torch
from espnet3_speech.layers.positions import sinusoids
from espnet3_speech.masks import valid_mask
from torch import Tensor, nn

from espnet3_tts.models.matcha.config import UNetConfig
from espnet3_tts.models.matcha.layers import ConvBlock, ResidualBlock, TransformerBlock

TIME_SCALE = 1000.0
"""Times from 0 to 1 get the sinusoids of positions from 0 to this (Popov et al. 2021, "Grad-TTS")."""


class TimeEmbedding(nn.Module):
    """A time as a vector: sinusoids through two linear layers.

    Args:
        waves: Number of sinusoids, even.
        size: Dimensions.
    """

    def __init__(self, waves: int, size: int) -> None:
        super().__init__()
        self.waves = waves
        self.layers = nn.Sequential(nn.Linear(waves, size), nn.SiLU(), nn.Linear(size, size))

    def forward(self, time: Tensor) -> Tensor:
        """``(batch,)`` from 0 to 1, to ``(batch, size)``."""
        return self.layers(sinusoids(TIME_SCALE * time, self.waves).to(time.dtype))


class Level(nn.Module):
    """What is done at one resolution: a residual block, Transformer blocks, and a convolution on from it.

    Args:
        config: Sizes.
        inputs: Channels in.
        outputs: Channels out.
        time_size: Dimensions of the embedded time.
        leave: Convolution to the next resolution; None for none.
    """

    def __init__(
        self, config: UNetConfig, inputs: int, outputs: int, time_size: int, leave: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.residual = ResidualBlock(inputs, outputs, config.groups, time_size)
        self.blocks = nn.ModuleList(TransformerBlock(config, outputs) for _ in range(config.blocks))
        self.leave = leave

    def forward(self, values: Tensor, valid: Tensor, time: Tensor) -> Tensor:
        """``(batch, inputs, frames)`` to ``(batch, outputs, frames)``, zero in padding."""
        hidden = self.residual(values, valid, time).transpose(1, 2)
        for block in self.blocks:
            hidden = block(hidden, valid)
        return hidden.transpose(1, 2).masked_fill(~valid, 0.0)


def _same(size: int) -> nn.Module:
    return nn.Conv1d(size, size, 3, padding=1)


def _half(size: int) -> nn.Module:
    return nn.Conv1d(size, size, 3, stride=2, padding=1)


def _twice(size: int) -> nn.Module:
    return nn.ConvTranspose1d(size, size, 4, stride=2, padding=1)


class UNet(nn.Module):
    """Convolutions and Transformers at falling and rising resolution (Mehta et al. 2024, figure 2).

    An odd number of frames is halved upwards. Differing from the authors' program, normalisation and
    attention leave padding out, so that an utterance is the same in any batch.

    Args:
        config: Sizes.
        input_size: Channels in.
        output_size: Channels out.
        time_waves: Sinusoids of the time, even.
    """

    def __init__(self, config: UNetConfig, *, input_size: int, output_size: int, time_waves: int) -> None:
        super().__init__()
        sizes, last = config.channels, len(config.channels) - 1
        time_size = 4 * sizes[0]
        self.time = TimeEmbedding(time_waves, time_size)
        inputs = (input_size, *sizes[:-1])
        self.down = nn.ModuleList(
            Level(config, inputs[n], size, time_size, _half(size) if n < last else _same(size))
            for n, size in enumerate(sizes)
        )
        self.middle = nn.ModuleList(
            Level(config, sizes[-1], sizes[-1], time_size) for _ in range(config.middle_blocks)
        )
        outputs = (sizes[0], *sizes[:-1])
        self.up = nn.ModuleList(
            Level(config, 2 * sizes[n], outputs[n], time_size, _twice(outputs[n]) if n else _same(outputs[n]))
            for n in range(last, -1, -1)
        )
        self.final = ConvBlock(sizes[0], sizes[0], config.groups)
        self.out = nn.Conv1d(sizes[0], output_size, 1)

    def forward(self, values: Tensor, lengths: Tensor, time: Tensor) -> Tensor:
        """The direction at a place and a time.

        Args:
            values: ``(batch, frames, input_size)``.
            lengths: ``(batch,)`` valid frames.
            time: ``(batch,)`` from 0 to 1.

        Returns:
            ``(batch, frames, output_size)``, zero in padding.
        """
        embedded = self.time(time)
        hidden = values.transpose(1, 2)
        kept = []
        for number, level in enumerate(self.down):
            if number:
                lengths = (lengths + 1) // 2
            valid = valid_mask(lengths, hidden.shape[2]).unsqueeze(1)
            hidden = level(hidden, valid, embedded)
            kept.append((hidden, valid))
            hidden = level.leave(hidden)
        for level in self.middle:
            hidden = level(hidden, valid, embedded)
        for level in self.up:
            skipped, valid = kept.pop()
            hidden = torch.cat([hidden[..., : skipped.shape[2]], skipped], 1)
            hidden = level.leave(level(hidden, valid, embedded))
        return self.out(self.final(hidden, valid)).masked_fill(~valid, 0.0).transpose(1, 2)
