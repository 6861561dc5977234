"""VITS as it is trained, and as it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espnet3_tts.aligners.aligner import MASKED, SoftAlignment
from espnet3_tts.aligners.prior import alignment_mask
from espnet3_tts.aligners.search import check_frames
from espnet3_tts.models.contract import Controls, Spoken, only
from espnet3_tts.models.hifigan.adversarial import AdversarialModel
from espnet3_tts.models.hifigan.discriminators import Discriminators
from espnet3_tts.models.hifigan.pieces import piece_starts, pieces
from espnet3_tts.models.noise import STILL
from espnet3_tts.models.speaking import Speaks
from espnet3_tts.models.vits.config import VitsConfig
from espnet3_tts.models.vits.voice import Learned, Voice


class Vits(Speaks, AdversarialModel):
    """Text to waveform by one model (Kim et al. 2021), for named optimizers of generator and discriminator.

    A variational autoencoder of linear spectrograms, whose prior is the text's through a flow and whose
    decoder makes the waveform of random pieces of the latent. Losses are means over utterances, those of
    the latent and of durations means over frames and tokens within each.

    Args:
        config: Components and sizes.
        vocab_size: Number of tokens.
        sample_rate: Rate of the audio in Hz.
        tokenizer: Not needed; kept for :meth:`infer`.

    Raises:
        UserError: The decoder makes other than a hop of samples of a frame.
    """

    name = "tts/vits"
    makes_audio = True

    def __init__(
        self, config: VitsConfig, *, vocab_size: int, sample_rate: int, tokenizer: Any = None
    ) -> None:
        super().__init__(config, sample_rate=sample_rate)
        self.tokenizer = tokenizer
        self.generator = Voice(config, vocab_size=vocab_size, bins=self.features.bins)
        self.discriminator = Discriminators(config.discriminators)

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
        turn: str = "generator",
        shared: dict[str, Any] | None = None,
        ids: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """The loss of a turn.

        Args:
            speech: ``(batch, samples)`` audio.
            speech_lengths: ``(batch,)`` samples.
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` tokens.
            speaker: Names of the speakers, where there are several.
            turn: ``discriminator`` or ``generator``.
            shared: What the turns of a batch have in common: pieces, their copies, the generator's losses.
            ids: Utterance ids, for messages.

        Returns:
            ``loss``; of the generator also ``mel``, ``features``, ``adversarial``, ``divergence``,
            ``duration``.

        Raises:
            UserError: There is no such turn, an utterance has more tokens than frames, or an unknown speaker.
        """
        self.check_turn(turn)
        shared = {} if shared is None else shared
        if "copy" not in shared:
            shared |= self._copies(speech, speech_lengths, text, text_lengths, speaker, ids)
        return self.losses(turn, shared["real"], shared["copy"], shared["mel"], shared["learned"])

    def _copies(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None,
        ids: Sequence[str],
    ) -> dict[str, Any]:
        """Pieces of recordings, the same pieces made anew from latents, and losses of the way there."""
        learned, frames = self._learn(speech, speech_lengths, text, text_lengths, speaker, ids)
        segment, hop = self.config.segment, self.features.hop
        starts = piece_starts(frames, segment, random=self.training)
        with torch.no_grad():
            real = pieces(speech, frames * hop, starts * hop, segment * hop)
            mel = self.mel_of(real)
        latent = pieces(learned.latent, frames, starts, segment)
        losses = {
            "divergence": self.config.divergence_weight * learned.divergence.mean(),
            "duration": self.config.duration_weight * learned.duration.mean(),
        }
        copy = self.generator.decoder(latent, learned.speaker)
        return {"real": real, "mel": mel, "copy": copy, "learned": losses}

    def _learn(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None,
        ids: Sequence[str] = (),
    ) -> tuple[Learned, Tensor]:
        numbers = self.generator.speakers.numbers(speaker, len(speech), speech.device)
        with torch.no_grad():
            spectrogram, frames = self.features.linear(speech, speech_lengths)
        check_frames(text_lengths, frames, ids)
        seed = None if self.training else STILL
        return self.generator.learn(spectrogram, frames, text, text_lengths, numbers, seed), frames

    @torch.inference_mode()
    def align(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
    ) -> tuple[Tensor, SoftAlignment]:
        """Durations of ``(batch, tokens)`` in recorded speech, in frames, and likelihoods of tokens."""
        learned, frames = self._learn(speech, speech_lengths, text, text_lengths, speaker)
        scores = learned.likelihoods.masked_fill(~alignment_mask(text_lengths, frames), MASKED)
        return learned.durations, SoftAlignment(scores, scores.log_softmax(-1))

    @torch.inference_mode()
    def speak(
        self,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
        controls: Controls | None = None,
    ) -> Spoken:
        """Waveforms of texts.

        Args:
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` tokens.
            speaker: Names of the speakers, where there are several.
            controls: Speed, seed and temperature (of the latent's noise); None for as predicted.

        Raises:
            UserError: A speaker is unknown, none is named, or what it does not have is controlled.
        """
        controls = controls or Controls()
        only(controls, self.name, "speed", "temperature")
        numbers = self.generator.speakers.numbers(speaker, len(text), text.device)
        audio, durations = self.generator.speak(
            text, text_lengths, numbers, controls.speed, controls.seed, controls.temperature
        )
        return Spoken(None, durations.sum(1), durations, audio)
