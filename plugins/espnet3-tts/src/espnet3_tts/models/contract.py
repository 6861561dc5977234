"""What acoustic models offer to a synthesiser: ``speak``, with these arguments and results.

A model that makes the waveform itself has ``makes_audio = True``: it is given no vocoder, and what it says
has ``audio`` in place of ``mel``. Both kinds have ``features``, whose hop is that of ``durations``, and
``sample_rate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import torch
from espnet3_core.errors import UserError
from torch import Tensor


@dataclass(frozen=True)
class Controls:
    """How an utterance is spoken.

    Attributes:
        speed: Factor on the rate of speech.
        pitch: Factor on the fundamental frequency.
        energy: Factor on the amplitude that is predicted of each token.
        seed: Of whatever the model draws; an utterance draws the same in any batch.
        steps: Of a model that solves an equation; None for as the model was configured.
        temperature: Factor on the noise that becomes speech, not on that of durations; None for as the model
            was configured.
    """

    speed: float = 1.0
    pitch: float = 1.0
    energy: float = 1.0
    seed: int = 0
    steps: int | None = None
    temperature: float | None = None


class Spoken(NamedTuple):
    """What a model says.

    Attributes:
        mel: ``(batch, frames, n_mels)`` log-mel, zero in padding; None of a model that makes audio.
        lengths: ``(batch,)`` frames.
        durations: ``(batch, tokens)`` frames of each token.
        audio: ``(batch, frames * hop)`` samples, zero in padding; None of a model that needs a vocoder.
    """

    mel: Tensor | None
    lengths: Tensor
    durations: Tensor
    audio: Tensor | None = None


def makes_audio(model: Any) -> bool:
    """Whether a model makes the waveform itself."""
    return bool(getattr(model, "makes_audio", False))


def only(controls: Controls, model: str, *names: str) -> None:
    """Refuse controls that a model does not have; it may always ignore the seed.

    Args:
        controls: What is asked for.
        model: Name of the model.
        names: The controls that it has.

    Raises:
        UserError: Another one is not at its default.
    """
    for part in fields(controls):
        value = getattr(controls, part.name)
        if value != part.default and part.name not in ("seed", *names):
            raise UserError(
                f"{part.name} is {value:g}, and {model} has no control of it",
                hint=f"leave it out; {model} controls {', '.join(names)}",
            )


def summed(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``loss``, the sum of weighted parts, which is trained; beside it the parts, to be looked at."""
    total = torch.stack(list(parts.values())).sum()
    return {"loss": total, **{name: part.detach() for name, part in parts.items()}}
