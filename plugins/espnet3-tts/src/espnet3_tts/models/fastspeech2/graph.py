"""FastSpeech 2 as a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from espnet3_core.bundle.export import Graph
from torch import Tensor, nn

from espnet3_tts.models.contract import Controls

if TYPE_CHECKING:
    from espnet3_tts.models.fastspeech2.model import FastSpeech2


class TokensToMel(nn.Module):
    """The parts of the model that speak."""

    def __init__(self, model: FastSpeech2) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, text: Tensor, text_lengths: Tensor, speaker: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``(batch, tokens)`` to log-mel ``(batch, frames, n_mels)``, its lengths, and durations."""
        said = self.model.rendered(text, text_lengths, speaker, Controls())
        return said.mel, said.lengths, said.durations


def acoustic_graph(model: FastSpeech2, texts: Sequence[Sequence[int]]) -> Graph:
    """Tokens, and the number of the speaker where there are several, to a spectrogram.

    Args:
        model: In evaluation mode.
        texts: At least three of different length; the first two are spoken together.
    """
    pairs = [list(texts[:2]), *([text] for text in texts[2:])]
    names = model.speakers.names
    speakers = [torch.arange(len(group)) % len(names) for group in pairs] if names else []
    examples = []
    for number, group in enumerate(pairs):
        rows = [torch.tensor(ids) for ids in group]
        padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        lengths = torch.tensor([len(ids) for ids in group])
        examples.append((padded, lengths, *speakers[number : number + 1]))
    bands = model.features.output_size
    return Graph(
        name="acoustic",
        module=TokensToMel(model),
        inputs={
            "text": ("batch", "tokens"),
            "text_lengths": ("batch",),
            **({"speaker": ("batch",)} if names else {}),
        },
        outputs={
            "mel": ("batch", "frames", bands),
            "mel_lengths": ("batch",),
            "durations": ("batch", "tokens"),
        },
        examples=examples,
        metadata={
            "sample_rate": str(model.sample_rate),
            "hop": str(model.features.hop),
            **({"speakers": ",".join(names)} if names else {}),
        },
        tolerance=1e-3,
    )
