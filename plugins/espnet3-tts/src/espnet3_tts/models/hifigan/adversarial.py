"""What models have in common that are trained against discriminators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_tts.features.features import Features
from espnet3_tts.models.contract import summed
from espnet3_tts.models.hifigan.config import GeneratorConfig
from espnet3_tts.models.hifigan.discriminators import Discriminators
from espnet3_tts.models.hifigan.losses import adversarial_loss, discriminator_loss, feature_loss

TURNS = ("discriminator", "generator")


class AdversarialModel(nn.Module):
    """A generator of waveforms and its discriminators, for the named optimizers of these names.

    Args:
        config: With ``frontend``, ``generator``, ``discriminators``, ``mel_weight``, ``feature_weight``.
        sample_rate: Rate of the audio in Hz.

    Raises:
        UserError: The generator makes other than a hop of samples of a frame.
    """

    name: ClassVar[str]
    statistics_of: tuple[str, ...] = ()
    discriminator: Discriminators
    """Made by the subclass, as its ``generator`` is."""

    def __init__(self, config: Any, *, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.features: Features = config.frontend.build(sample_rate=sample_rate)
        generator: GeneratorConfig = config.generator
        if generator.hop != self.features.hop:
            raise UserError(
                f"generator.upsampling {list(generator.upsampling)} makes "
                f"{generator.hop} samples of a frame, and frontend.hop is {self.features.hop}",
                hint="the product of the factors has to be the hop",
            )

    def check_turn(self, turn: str) -> None:
        """Refuse a turn that is none.

        Raises:
            UserError: It is not ``discriminator`` or ``generator``.
        """
        if turn not in TURNS:
            raise UserError(
                f"training.optimizers: {self.name} has no turn {turn!r}",
                hint=f"name them {' and '.join(TURNS)}",
            )

    def losses(
        self, turn: str, real: Tensor, copy: Tensor, mel: Tensor, more: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The loss of a turn, from pieces of recordings and their copies.

        Args:
            turn: ``discriminator`` or ``generator``.
            real: ``(batch, samples)``.
            copy: ``(batch, samples)``, with the generator's graph.
            mel: ``(batch, frames, n_mels)`` log-mel spectrograms of the recordings.
            more: Further losses of the generator, weighted.

        Returns:
            ``loss``; of the generator also ``adversarial``, ``features``, ``mel`` and the further ones.
        """
        if turn == "discriminator":
            return {"loss": discriminator_loss(self.discriminator(real), self.discriminator(copy.detach()))}
        judged = self.discriminator(copy)
        parts = {
            "adversarial": adversarial_loss(judged),
            "features": self.config.feature_weight * feature_loss(self.discriminator(real), judged),
            # Kong et al. 2020, equation 3
            "mel": self.config.mel_weight * (self.mel_of(copy) - mel).abs().mean(),
            **(more or {}),
        }
        return summed(parts)

    def mel_of(self, speech: Tensor) -> Tensor:
        """Log-mel spectrogram of ``(batch, samples)`` without padding."""
        lengths = torch.full((len(speech),), speech.shape[1], device=speech.device)
        return self.features(speech, lengths, pitch=False).mel
