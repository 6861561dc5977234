"""The generator of HiFi-GAN as a graph."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from espnet3_core.bundle.export import Graph

if TYPE_CHECKING:
    from espnet3_tts.models.hifigan.model import HifiGan


def vocoder_graph(model: HifiGan) -> Graph:
    """A log-mel spectrogram to audio. Examples are spectrograms of noise, of different length."""
    generator = copy.deepcopy(model.generator).plain()  # training may go on with the model
    noise = torch.Generator().manual_seed(0)
    examples = []
    for batch, seconds in ((2, 0.5), (1, 0.3)):
        speech = torch.randn(batch, int(seconds * model.sample_rate), generator=noise) * 0.1
        with torch.no_grad():
            lengths = torch.full((batch,), speech.shape[1])
            examples.append((model.features(speech, lengths, pitch=False).mel,))
    return Graph(
        name="vocoder",
        module=generator,
        inputs={"mel": ("batch", "frames", model.features.output_size)},
        outputs={"audio": ("batch", "samples")},
        examples=examples,
        metadata={"sample_rate": str(model.sample_rate), "hop": str(model.features.hop)},
        tolerance=1e-4,
    )
