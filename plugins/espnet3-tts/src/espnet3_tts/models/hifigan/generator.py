"""The generator of HiFi-GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm
from torch.nn.utils.parametrize import remove_parametrizations

from espnet3_tts.models.hifigan.config import GeneratorConfig
from espnet3_tts.models.speakers import SpeakerBias

SLOPE = 0.1
_LAST_SLOPE = 0.01
_STD = 0.01


def _conv(size: int, kernel: int, dilation: int) -> nn.Module:
    return weight_norm(nn.Conv1d(size, size, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2))


class ResidualBlock(nn.Module):
    """Dilated convolutions around residuals (Kong et al. 2020, figure 1 and table 5)."""

    def __init__(self, size: int, kernel: int, dilations: tuple[int, ...], *, pairs: bool) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(_conv(size, kernel, dilation) for dilation in dilations)
        self.plain = nn.ModuleList(_conv(size, kernel, 1) for _ in dilations) if pairs else None

    def forward(self, values: Tensor) -> Tensor:
        """``(batch, channels, samples)`` to the same shape."""
        for number, dilated in enumerate(self.dilated):
            hidden = dilated(leaky_relu(values, SLOPE))
            if self.plain is not None:
                hidden = self.plain[number](leaky_relu(hidden, SLOPE))
            values = values + hidden
        return values


class Generator(nn.Module):
    """Transposed convolutions, each followed by residual blocks side by side (Kong et al. 2020, section 2.2).

    Args:
        config: Sizes.
        n_mels: Mel bands, or channels of whatever stands for them.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(self, config: GeneratorConfig, *, n_mels: int, speaker_size: int = 0) -> None:
        super().__init__()
        self.config = config
        size = config.channels
        self.first = weight_norm(nn.Conv1d(n_mels, size, 7, padding=3))
        self.speaker = SpeakerBias(speaker_size, size)
        self.upsampling = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for factor, kernel in zip(config.upsampling, config.upsampling_kernels, strict=True):
            up = nn.ConvTranspose1d(size, size // 2, kernel, factor, padding=(kernel - factor) // 2)
            self.upsampling.append(weight_norm(up))
            size //= 2
            self.blocks.append(
                nn.ModuleList(
                    ResidualBlock(size, width, dilations, pairs=config.block == "pairs")
                    for width, dilations in zip(config.kernels, config.dilations, strict=True)
                )
            )
        self.last = weight_norm(nn.Conv1d(size, 1, 7, padding=3))
        for part in (self.upsampling, self.blocks, self.last):
            part.apply(_initialize)

    def forward(self, mel: Tensor, speaker: Tensor | None = None) -> Tensor:
        """``(batch, frames, n_mels)`` to ``(batch, frames * hop)`` samples.

        Args:
            mel: Log-mel spectrogram, or what stands for it.
            speaker: ``(batch, speaker_size)`` vectors, where there are several speakers.
        """
        values = self.speaker(self.first(mel.transpose(1, 2)), speaker)
        for up, blocks in zip(self.upsampling, self.blocks, strict=True):
            values = up(leaky_relu(values, SLOPE))
            values = torch.stack([block(values) for block in blocks]).mean(0)  # type: ignore[union-attr]
        return self.last(leaky_relu(values, _LAST_SLOPE)).tanh().squeeze(1)

    def each(self, mel: Tensor, lengths: Tensor, speaker: Tensor | None = None) -> Tensor:
        """Samples of utterances of ``(batch,)`` frames, zero in padding: ``(batch, frames * hop)``.

        Each goes through by itself, as the convolutions would hear the padding of a batch.
        """
        hop = self.config.hop
        speech = mel.new_zeros(len(mel), mel.shape[1] * hop)
        for row, frames in enumerate(lengths.tolist()):
            if frames:
                who = None if speaker is None else speaker[row : row + 1]
                speech[row, : frames * hop] = self(mel[row : row + 1, :frames], who)[0]
        return speech

    def plain(self) -> Generator:
        """Itself with weights in place of their norms and directions: faster, not to be trained further."""
        for module in self.modules():
            if hasattr(module, "parametrizations"):
                remove_parametrizations(module, "weight")  # type: ignore[arg-type]
        return self


@torch.no_grad()
def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
        module.weight = nn.init.normal_(torch.empty_like(module.weight), 0.0, _STD)
