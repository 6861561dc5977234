"""Predictors of durations: one that draws them, and one that does not."""

from __future__ import annotations

import math

import torch
from espnet3_speech.layers.dropout import Dropout
from espnet3_speech.masks import utterance_means, valid_mask
from torch import Tensor, nn
from torch.nn import functional

from espnet3_tts.models.noise import utterance_noise
from espnet3_tts.models.predictor import Predictor
from espnet3_tts.models.predictor_config import PredictorConfig
from espnet3_tts.models.speakers import SpeakerBias
from espnet3_tts.models.vits.config import DurationConfig
from espnet3_tts.models.vits.spline import rational_quadratic

_LONGEST = 1000.0
"""Frames that a token may last: an untrained model says anything."""
_SHORTEST = 1e-5


class SeparableConvs(nn.Module):
    """Residual depthwise convolutions of growing dilation (Kim et al. 2021, appendix A.2.2)."""

    def __init__(self, size: int, kernel: int, layers: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.depthwise = nn.ModuleList()
        for number in range(layers):
            wide = kernel**number
            conv = nn.Conv1d(size, size, kernel, padding=wide * (kernel // 2), dilation=wide, groups=size)
            self.depthwise.append(conv)
        self.pointwise = nn.ModuleList(nn.Conv1d(size, size, 1) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2 * layers))
        self.dropout = Dropout(dropout)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """``(batch, size, tokens)`` to the same shape, zero in padding."""
        norms = iter(self.norms)
        for depthwise, pointwise in zip(self.depthwise, self.pointwise, strict=True):
            hidden = pointwise(_activated(depthwise(values * mask), next(norms)))
            values = values + self.dropout(_activated(hidden, next(norms)))
        return values * mask


def _activated(values: Tensor, norm: nn.Module) -> Tensor:
    return functional.gelu(norm(values.transpose(1, 2)).transpose(1, 2))


class SplineCoupling(nn.Module):
    """Transforms the second of two channels by a spline that depends on the first.

    Args:
        config: Sizes.
    """

    def __init__(self, config: DurationConfig) -> None:
        super().__init__()
        self.bound = config.bound
        self.first = nn.Conv1d(1, config.channels, 1)
        self.convs = SeparableConvs(config.channels, config.kernel, config.layers)
        self.last = nn.Conv1d(config.channels, 3 * config.bins - 1, 1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]
        # Sizes of bins change slowly beside slopes.
        factor = torch.ones(3 * config.bins - 1, 1)
        factor[: 2 * config.bins] = config.channels**-0.5
        self.register_buffer("factor", factor, persistent=False)

    factor: Tensor

    def forward(
        self, values: Tensor, mask: Tensor, condition: Tensor, *, inverse: bool = False
    ) -> tuple[Tensor, Tensor]:
        """``(batch, 2, tokens)`` to the same shape, and ``(batch,)`` logarithms of determinants."""
        kept, moved = values.chunk(2, 1)
        hidden = self.convs(self.first(kept) + condition, mask)
        parameters = self.last(hidden) * self.factor
        with torch.autocast(values.device.type, enabled=False):
            parameters = parameters.transpose(1, 2).to(values.dtype)
            moved, logs = rational_quadratic(moved[:, 0], parameters, bound=self.bound, inverse=inverse)
        return torch.cat([kept, moved.unsqueeze(1)], 1) * mask, (logs * mask[:, 0]).sum(1)


class DurationFlow(nn.Module):
    """A scale and a shift, then spline couplings, after each of which the two channels change places.

    Args:
        config: Sizes.
    """

    def __init__(self, config: DurationConfig) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(2, 1))
        self.log_scale = nn.Parameter(torch.zeros(2, 1))
        self.couplings = nn.ModuleList(SplineCoupling(config) for _ in range(config.flows))

    def forward(self, values: Tensor, mask: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, 2, tokens)`` to the same shape, and ``(batch,)`` logarithms of determinants."""
        values = (self.shift + values * self.log_scale.exp()) * mask
        total = (self.log_scale * mask).sum((1, 2))
        for coupling in self.couplings:
            values, logs = coupling(values, mask, condition)
            values, total = values.flip(1), total + logs
        return values, total

    def inverse(self, values: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        """Undo :meth:`forward`."""
        for coupling in reversed(self.couplings):
            values, _ = coupling(values.flip(1), mask, condition, inverse=True)
        return (values - self.shift) * (-self.log_scale).exp() * mask


class StochasticDuration(nn.Module):
    """Draws durations as a flow has learned their distribution (Kim et al. 2021, section 2.2.2).

    Trained by variational dequantization, of whole numbers to real ones below them, and augmentation by a
    second channel (equation 7).

    Args:
        config: Sizes.
        input_size: Dimensions of the hidden vectors.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(self, config: DurationConfig, *, input_size: int, speaker_size: int = 0) -> None:
        super().__init__()
        size = config.channels
        self.noise = config.noise
        self.first = nn.Conv1d(input_size, size, 1)
        self.speaker = SpeakerBias(speaker_size, size)
        self.convs = SeparableConvs(size, config.kernel, config.layers, config.dropout)
        self.last = nn.Conv1d(size, size, 1)
        self.flow = DurationFlow(config)
        self.first_duration = nn.Conv1d(1, size, 1)
        self.duration_convs = SeparableConvs(size, config.kernel, config.layers, config.dropout)
        self.last_duration = nn.Conv1d(size, size, 1)
        self.posterior = DurationFlow(config)

    def _condition(self, hidden: Tensor, mask: Tensor, speaker: Tensor | None) -> Tensor:
        values = self.speaker(self.first(hidden.transpose(1, 2)), speaker)
        return self.last(self.convs(values, mask)) * mask

    def forward(
        self,
        hidden: Tensor,
        lengths: Tensor,
        durations: Tensor,
        speaker: Tensor | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Upper bound of the negative log-likelihood of durations, in nats per token (equation 8).

        Args:
            hidden: ``(batch, tokens, size)``, zero in padding.
            lengths: ``(batch,)``.
            durations: ``(batch, tokens)`` frames.
            speaker: ``(batch, speaker_size)``.
            seed: Of the noise; None draws from torch's own generator.

        Returns:
            ``(batch,)``.
        """
        mask = valid_mask(lengths, hidden.shape[1]).unsqueeze(1).to(hidden.dtype)
        condition = self._condition(hidden, mask, speaker)
        whole = durations.unsqueeze(1).to(hidden.dtype)
        said = self.last_duration(self.duration_convs(self.first_duration(whole), mask)) * mask
        noise = utterance_noise(lengths, 2, hidden, seed).transpose(1, 2) * mask
        drawn, logs = self.posterior(noise, mask, condition + said)
        below, extra = drawn.chunk(2, 1)
        squash = functional.logsigmoid(below) + functional.logsigmoid(-below)
        log_posterior = _log_normal(noise, mask) - logs - (squash * mask).sum((1, 2))
        real = (whole - below.sigmoid()).clamp(min=_SHORTEST).log() * mask
        latent, logs = self.flow(torch.cat([real, extra], 1), mask, condition)
        log_prior = _log_normal(latent, mask) + logs - real.sum((1, 2))
        return (log_posterior - log_prior) / lengths

    def draw(self, hidden: Tensor, lengths: Tensor, speaker: Tensor | None = None, seed: int = 0) -> Tensor:
        """``(batch, tokens)`` whole durations, at least 1, zero in padding."""
        mask = valid_mask(lengths, hidden.shape[1]).unsqueeze(1).to(hidden.dtype)
        noise = self.noise * utterance_noise(lengths, 2, hidden, seed).transpose(1, 2) * mask
        real = self.flow.inverse(noise, mask, self._condition(hidden, mask, speaker))[:, 0]
        return real.clamp(max=math.log(_LONGEST)).exp().ceil() * mask[:, 0]


def _log_normal(values: Tensor, mask: Tensor) -> Tensor:
    """Logarithm of the standard normal density, ``(batch,)``, without what padding would add."""
    return (-0.5 * (math.log(2 * math.pi) + values.square()) * mask).sum((1, 2))


class PredictedDuration(nn.Module):
    """Predicts the mean of the logarithm of durations, always the same (Kim et al. 2021, section 4.3).

    Args:
        config: Sizes.
        input_size: Dimensions of the hidden vectors.
        speaker_size: Dimensions of speaker vectors; 0 for one speaker.
    """

    def __init__(self, config: DurationConfig, *, input_size: int, speaker_size: int = 0) -> None:
        super().__init__()
        self.speaker = SpeakerBias(speaker_size, input_size)
        sizes = PredictorConfig(channels=config.channels, kernel=config.kernel, dropout=config.dropout)
        self.predictor = Predictor(sizes, input_size=input_size)

    def _logs(self, hidden: Tensor, lengths: Tensor, speaker: Tensor | None) -> Tensor:
        return self.predictor(self.speaker(hidden.transpose(1, 2), speaker).transpose(1, 2), lengths)

    def forward(
        self,
        hidden: Tensor,
        lengths: Tensor,
        durations: Tensor,
        speaker: Tensor | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Mean squared error of logarithms; as :meth:`StochasticDuration.forward`, but nothing is drawn."""
        logs = self._logs(hidden, lengths, speaker)
        return utterance_means((logs - durations.clamp(min=1).to(logs.dtype).log()).square(), lengths)

    def draw(self, hidden: Tensor, lengths: Tensor, speaker: Tensor | None = None, seed: int = 0) -> Tensor:
        """``(batch, tokens)`` durations, at least 1, not whole, zero in padding."""
        valid = valid_mask(lengths, hidden.shape[1])
        logs = self._logs(hidden, lengths, speaker).clamp(0.0, math.log(_LONGEST))
        return logs.exp() * valid
