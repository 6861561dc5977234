"""What acoustic models offer to a synthesiser: ``speak``, with these arguments and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class Controls:
    """How an utterance is spoken.

    Attributes:
        speed: Factor on the rate of speech.
        pitch: Factor on the fundamental frequency.
        energy: Factor on the amplitude that is predicted of each token.
    """

    speed: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0


class Spoken(NamedTuple):
    """What a model says.

    Attributes:
        mel: ``(batch, frames, n_mels)`` log-mel, zero in padding.
        lengths: ``(batch,)`` frames.
        durations: ``(batch, tokens)`` frames of each token.
    """

    mel: Tensor
    lengths: Tensor
    durations: Tensor
