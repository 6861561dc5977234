"""HiFi-GAN as it is trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from espnet3_core.bundle.export import Graph
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from torch import Tensor

from espnet3_tts.models.hifigan.adversarial import AdversarialModel
from espnet3_tts.models.hifigan.config import HifiGanConfig
from espnet3_tts.models.hifigan.discriminators import Discriminators
from espnet3_tts.models.hifigan.generator import Generator
from espnet3_tts.models.hifigan.pieces import piece_starts, pieces


class HifiGan(AdversarialModel):
    """Generator and discriminators (Kong et al. 2020), for the named optimizers of these names.

    Args:
        config: Components and sizes.
        sample_rate: Rate of the audio in Hz.

    Raises:
        UserError: The generator makes other than a hop of samples of a frame.
    """

    name = "tts/hifigan"

    def __init__(self, config: HifiGanConfig, *, sample_rate: int) -> None:
        super().__init__(config, sample_rate=sample_rate)
        self.generator = Generator(config.generator, n_mels=self.features.output_size)
        self.discriminator = Discriminators(config.discriminators)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        turn: str = "generator",
        shared: dict[str, Any] | None = None,
    ) -> dict[str, Tensor]:
        """The loss of a turn.

        Args:
            speech: ``(batch, samples)`` audio.
            speech_lengths: ``(batch,)`` samples.
            turn: ``discriminator`` or ``generator``.
            shared: What the turns of a batch have in common: the piece and its copy.

        Returns:
            ``loss``; of the generator also ``mel``, ``features``, ``adversarial``.

        Raises:
            UserError: There is no such turn.
        """
        self.check_turn(turn)
        shared = {} if shared is None else shared
        if "copy" not in shared:
            shared["real"], shared["mel"] = self._pieces(speech, speech_lengths)
            shared["copy"] = self.generator(shared["mel"])
        return self.losses(turn, shared["real"], shared["copy"], shared["mel"])

    @torch.no_grad()
    def _pieces(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A random piece of each utterance and its spectrogram; a short one is continued by silence.

        Without a gradient from training, as in validation, it is the piece in the middle.
        """
        samples = self.config.segment * self.features.hop
        starts = piece_starts(lengths, samples, random=self.training)
        real = pieces(speech, lengths, starts, samples)
        return real, self.mel_of(real)

    def graph(self) -> Graph:
        """The generator, as ``espnet3 export`` writes it."""
        from espnet3_tts.models.hifigan.graph import vocoder_graph

        return vocoder_graph(self)

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Copies of recordings: ``audio``, and ``rtf`` of the batch.

        Raises:
            UserError: There are no recordings.
        """
        if "speech" not in batch:
            raise UserError("there are no recordings to copy", hint="give a test set with audio")
        began = time.perf_counter()
        found = self.features(batch["speech"], batch["speech_lengths"], pitch=False)
        made = self.generator.each(found.mel, found.lengths)
        sizes = (found.lengths * self.features.hop).tolist()
        copies = [copy[:size] for copy, size in zip(made, sizes, strict=True)]
        rtf = (time.perf_counter() - began) * self.sample_rate / max(sum(map(len, copies)), 1)
        return [{"audio": Audio(copy.float().cpu().numpy(), self.sample_rate), "rtf": rtf} for copy in copies]
