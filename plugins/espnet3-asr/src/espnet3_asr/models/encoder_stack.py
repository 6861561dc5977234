"""Audio to encoder output: front end, SpecAugment, normalizer, encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from espnet3_asr.models.config import EncoderStackConfig

FEATURES = "features"
"""Name under which feature statistics are collected."""


class Encoded(NamedTuple):
    """Output of the encoder side.

    Attributes:
        features: ``(batch, frames, encoder_size)``.
        lengths: ``(batch,)`` valid frames.
        intermediate: Outputs of the requested layers, by layer.
    """

    features: Tensor
    lengths: Tensor
    intermediate: Mapping[int, Tensor]


class EncoderStack(nn.Module):
    """Front end, SpecAugment, normalizer and encoder, each chosen by name.

    Args:
        config: The components.
        sample_rate: Rate of the audio in Hz.
        stats: Feature statistics by name, for a normalizer that needs them.
    """

    def __init__(
        self, config: EncoderStackConfig, *, sample_rate: int, stats: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.frontend = config.frontend.build(sample_rate=sample_rate)
        size = self.frontend.output_size
        self.specaugment = config.specaugment.build(input_size=size) if config.specaugment else None
        own = stats.get(FEATURES) if stats else None
        self.normalizer = config.normalizer.build(input_size=size, stats=own) if config.normalizer else None
        self.encoder = config.encoder.build(input_size=size)
        self.output_size: int = self.encoder.output_size

    @property
    def statistics_of(self) -> tuple[str, ...]:
        """Features whose statistics the normalizer wants: ``("features",)`` or none."""
        return (FEATURES,) if getattr(self.normalizer, "needs_statistics", False) else ()

    @cached_property
    def samples_per_frame(self) -> int:
        """Audio samples from one encoder frame to the next."""
        samples = torch.tensor([1 << 24, 1 << 25])
        first, second = self.encoder.output_lengths(self.frontend.output_lengths(samples)).tolist()
        return max(1, round((1 << 24) / max(1, second - first)))

    def features(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """``(batch, samples)`` audio to ``(batch, frames, dim)`` features, in full precision, and lengths."""
        with torch.autocast(speech.device.type, enabled=False):
            features, lengths = self.frontend(speech, lengths)
        return features, lengths

    def forward(
        self,
        speech: Tensor,
        lengths: Tensor,
        *,
        intermediate_layers: Sequence[int] = (),
        condition: Callable[[Tensor], Tensor] | None = None,
    ) -> Encoded:
        """Encode a batch.

        Args:
            speech: ``(batch, samples)`` float audio.
            lengths: ``(batch,)`` valid samples.
            intermediate_layers: Layers whose outputs are returned, too.
            condition: Makes of an intermediate output what is added to the stream.
        """
        features, lengths = self.features(speech, lengths)
        return self.encode(features, lengths, intermediate_layers=intermediate_layers, condition=condition)

    def encode(
        self,
        features: Tensor,
        lengths: Tensor,
        *,
        intermediate_layers: Sequence[int] = (),
        condition: Callable[[Tensor], Tensor] | None = None,
    ) -> Encoded:
        """What follows the front end: ``(batch, frames, dim)`` features and lengths to encoder output."""
        with torch.autocast(features.device.type, enabled=False):
            if self.specaugment is not None:
                features = self.specaugment(features, lengths)
            if self.normalizer is not None:
                features, lengths = self.normalizer(features, lengths)
        output = self.encoder(
            features, lengths, intermediate_layers=tuple(intermediate_layers), condition=condition
        )
        return Encoded(output.features, output.lengths, output.intermediate)
