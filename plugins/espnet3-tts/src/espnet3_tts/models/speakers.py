"""Speakers by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from torch import Tensor, nn


class Speakers(nn.Module):
    """A learned vector for each speaker; zero where there is one speaker only.

    Args:
        names: As in the data's field ``speaker``; empty for one speaker.
        size: Dimensions.
    """

    def __init__(self, names: Sequence[str], size: int) -> None:
        super().__init__()
        self.names = tuple(names)
        self.table = nn.Embedding(len(names), size) if names else None

    def numbers(self, speakers: Sequence[str] | None, count: int, device: torch.device) -> Tensor | None:
        """``(batch,)`` numbers of named speakers; None where there is one speaker only.

        Args:
            speakers: A name for each utterance.
            count: Utterances.
            device: Where to put them.

        Raises:
            UserError: A speaker is unknown, or none is named.
        """
        if self.table is None:
            return None
        if speakers is None or len(speakers) != count:
            raise UserError(
                f"the model has {len(self.names)} speakers, and none is chosen",
                hint=f"give a field speaker: {', '.join(self.names[:8])}",
            )
        for name in speakers:
            if name not in self.names:
                others = f"known are {', '.join(self.names[:8])}"
                raise UserError(
                    f"unknown speaker {name!r}", hint=did_you_mean(name, self.names, otherwise=others)
                )
        return torch.tensor([self.names.index(name) for name in speakers], device=device)

    def vectors(self, numbers: Tensor | None) -> Tensor | None:
        """``(batch, size)`` vectors of numbered speakers; None where there is one speaker only."""
        return None if self.table is None or numbers is None else self.table(numbers)

    def forward(self, values: Tensor, numbers: Tensor | None) -> Tensor:
        """Add the speakers' vectors to ``(batch, tokens, size)``."""
        vectors = self.vectors(numbers)
        return values if vectors is None else values + vectors.unsqueeze(1)


class SpeakerBias(nn.Module):
    """Adds a projection of the speaker's vector to every place of a sequence.

    Args:
        speaker_size: Dimensions of the vectors; 0 where there is one speaker only, and nothing to add.
        size: Channels of the sequence.
    """

    def __init__(self, speaker_size: int, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(speaker_size, size) if speaker_size else None

    def forward(self, values: Tensor, vectors: Tensor | None) -> Tensor:
        """``(batch, channels, places)`` with ``(batch, speaker_size)``, to the same shape."""
        if self.project is None or vectors is None:
            return values
        return values + self.project(vectors).unsqueeze(2)
