"""HiFi-GAN as it is trained."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import torch
from espnet3_core.bundle.export import Graph
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from torch import Tensor, nn

from espnet3_tts.features.features import Features
from espnet3_tts.models.hifigan.config import HifiGanConfig
from espnet3_tts.models.hifigan.discriminators import Discriminators
from espnet3_tts.models.hifigan.generator import Generator
from espnet3_tts.models.hifigan.losses import adversarial_loss, discriminator_loss, feature_loss

TURNS = ("discriminator", "generator")


class HifiGan(nn.Module):
    """Generator and discriminators (Kong et al. 2020), for the named optimizers of these names.

    Args:
        config: Components and sizes.
        sample_rate: Rate of the audio in Hz.

    Raises:
        UserError: The generator makes other than a hop of samples of a frame.
    """

    statistics_of: tuple[str, ...] = ()

    def __init__(self, config: HifiGanConfig, *, sample_rate: int) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.features: Features = config.frontend.build(sample_rate=sample_rate)
        if config.generator.hop != self.features.hop:
            raise UserError(
                f"generator.upsampling {list(config.generator.upsampling)} makes "
                f"{config.generator.hop} samples of a frame, and frontend.hop is {self.features.hop}",
                hint="the product of the factors has to be the hop",
            )
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
        if turn not in TURNS:
            raise UserError(
                f"training.optimizers: tts/hifigan has no turn {turn!r}",
                hint=f"name them {' and '.join(TURNS)}",
            )
        shared = {} if shared is None else shared
        if "copy" not in shared:
            shared["real"], mel = self._pieces(speech, speech_lengths)
            shared["mel"] = mel
            shared["copy"] = self.generator(mel)
        real, copy = shared["real"], shared["copy"]
        if turn == "discriminator":
            return {"loss": discriminator_loss(self.discriminator(real), self.discriminator(copy.detach()))}
        judged = self.discriminator(copy)
        parts = {
            "adversarial": adversarial_loss(judged),
            "features": self.config.feature_weight * feature_loss(self.discriminator(real), judged),
            "mel": self.config.mel_weight * self._distance(copy, shared["mel"]),
        }
        total = torch.stack(list(parts.values())).sum()
        return {"loss": total, **{name: part.detach() for name, part in parts.items()}}

    @torch.no_grad()
    def _pieces(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """A random piece of each utterance and its spectrogram; a short one is continued by silence.

        Without a gradient from training, as in validation, it is the piece in the middle.
        """
        samples = self.config.segment * self.features.hop
        room = (lengths - samples).clamp(min=0)
        share = (
            torch.rand(len(speech), device=speech.device)
            if self.training
            else torch.full_like(room.float(), 0.5)
        )
        start = (share * (room + 1)).long().minimum(room)
        place = start.unsqueeze(1) + torch.arange(samples, device=speech.device)
        inside = place < lengths.unsqueeze(1)
        real = speech.gather(1, place.clamp(max=speech.shape[1] - 1)) * inside
        return real, self._mel(real)

    def _mel(self, speech: Tensor) -> Tensor:
        lengths = torch.full((len(speech),), speech.shape[1], device=speech.device)
        return self.features(speech, lengths, pitch=False).mel

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
        copies = [
            self.generator(mel[None, :n])[0] for mel, n in zip(found.mel, found.lengths.tolist(), strict=True)
        ]
        rtf = (time.perf_counter() - began) * self.sample_rate / max(sum(map(len, copies)), 1)
        return [{"audio": Audio(copy.float().cpu().numpy(), self.sample_rate), "rtf": rtf} for copy in copies]

    def _distance(self, copy: Tensor, mel: Tensor) -> Tensor:
        """Mean absolute difference of log-mel spectrograms (equation 3)."""
        return (self._mel(copy.float()) - mel).abs().mean()
