"""Losses of HiFi-GAN (Kong et al. 2020, section 2.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from espnet3_tts.models.hifigan.discriminators import Judgement


def discriminator_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Least squares: recordings are 1, copies 0 (equation 1), summed over discriminators."""
    pairs = zip(real, fake, strict=True)
    return torch.stack([(a.scores - 1).square().mean() + b.scores.square().mean() for a, b in pairs]).sum()


def adversarial_loss(fake: Sequence[Judgement]) -> Tensor:
    """Least squares: copies shall be 1 (equation 2), summed over discriminators."""
    return torch.stack([(judgement.scores - 1).square().mean() for judgement in fake]).sum()


def feature_loss(real: Sequence[Judgement], fake: Sequence[Judgement]) -> Tensor:
    """Mean absolute difference of hidden features (equation 4), summed over layers and discriminators."""
    return torch.stack(
        [
            (a.detach() - b).abs().mean()
            for one, other in zip(real, fake, strict=True)
            for a, b in zip(one.features, other.features, strict=True)
        ]
    ).sum()
