"""The discriminators of HiFi-GAN: of periods, and of scales."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import leaky_relu, pad
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from espnet3_tts.models.hifigan.config import DiscriminatorsConfig
from espnet3_tts.models.hifigan.generator import SLOPE

_PERIOD_CHANNELS = (32, 128, 512, 1024, 1024)
_SCALE_LAYERS = (
    (128, 15, 1, 1),
    (128, 41, 2, 4),
    (256, 41, 2, 16),
    (512, 41, 4, 16),
    (1024, 41, 4, 16),
    (1024, 41, 1, 16),
    (1024, 5, 1, 1),
)
"""Channels, kernel, stride and groups of each convolution."""


class Judgement(NamedTuple):
    """What a discriminator says.

    Attributes:
        scores: ``(batch, places)``, 1 for a recording and 0 for a copy.
        features: Output of each of its layers.
    """

    scores: Tensor
    features: list[Tensor]


def _judge(layers: nn.ModuleList, last: nn.Module, values: Tensor) -> Judgement:
    features = []
    for layer in layers:
        values = leaky_relu(layer(values), SLOPE)
        features.append(values)
    values = last(values)
    return Judgement(values.flatten(1), [*features, values])


class PeriodDiscriminator(nn.Module):
    """Looks at every ``period``-th sample (Kong et al. 2020, section 2.3)."""

    def __init__(self, period: int, divisor: int) -> None:
        super().__init__()
        self.period = period
        sizes = [1, *(channels // divisor for channels in _PERIOD_CHANNELS)]
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(sizes[n], sizes[n + 1], (5, 1), (3 if n < 4 else 1, 1), (2, 0)))
            for n in range(len(_PERIOD_CHANNELS))
        )
        self.last = weight_norm(nn.Conv2d(sizes[-1], 1, (3, 1), 1, (1, 0)))

    def forward(self, speech: Tensor) -> Judgement:
        """Judge ``(batch, samples)``."""
        missing = -speech.shape[1] % self.period
        speech = pad(speech.unsqueeze(1), (0, missing), mode="reflect")
        return _judge(self.layers, self.last, speech.unflatten(2, (-1, self.period)))


class ScaleDiscriminator(nn.Module):
    """Looks at the waveform (Kumar et al. 2019, "MelGAN", section 2.2)."""

    def __init__(self, divisor: int, norm: Callable[[nn.Module], nn.Module]) -> None:
        super().__init__()
        size, layers = 1, []
        for channels, kernel, stride, groups in _SCALE_LAYERS:
            wide = channels // divisor
            layers.append(norm(nn.Conv1d(size, wide, kernel, stride, kernel // 2, groups=groups)))
            size = wide
        self.layers = nn.ModuleList(layers)
        self.last = norm(nn.Conv1d(size, 1, 3, 1, 1))

    def forward(self, speech: Tensor) -> Judgement:
        """Judge ``(batch, samples)``."""
        return _judge(self.layers, self.last, speech.unsqueeze(1))


class Discriminators(nn.Module):
    """All of them; the first of the scales has spectral norm, all others weight norm.

    Args:
        config: Which there are.
    """

    def __init__(self, config: DiscriminatorsConfig) -> None:
        super().__init__()
        self.periods = nn.ModuleList(PeriodDiscriminator(period, config.divisor) for period in config.periods)
        self.scales = nn.ModuleList(
            ScaleDiscriminator(config.divisor, spectral_norm if number == 0 else weight_norm)
            for number in range(config.scales)
        )
        self.pool = nn.AvgPool1d(4, 2, padding=2)

    def forward(self, speech: Tensor) -> list[Judgement]:
        """Judgements of ``(batch, samples)``."""
        found = [part(speech) for part in self.periods]
        for number, part in enumerate(self.scales):
            if number:
                speech = self.pool(speech.unsqueeze(1)).squeeze(1)
            found.append(part(speech))
        return found
