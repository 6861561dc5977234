"""FastSpeech 2 with an aligner of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet3_core.bundle.export import Graph
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn

from espnet3_tts.aligners.aligner import Aligner, SoftAlignment
from espnet3_tts.aligners.durations import expanded, rounded, token_means
from espnet3_tts.aligners.forward_sum import binarization_loss, forward_sum_loss
from espnet3_tts.aligners.search import check_frames, monotonic_alignment
from espnet3_tts.features.features import Acoustic, Features
from espnet3_tts.models.contract import Controls, Spoken, only, summed
from espnet3_tts.models.fastspeech2.config import FastSpeech2Config
from espnet3_tts.models.fastspeech2.variance import VarianceEmbedding, gamma_deviance
from espnet3_tts.models.predictor import Predictor
from espnet3_tts.models.speakers import Speakers
from espnet3_tts.models.speaking import Speaks
from espnet3_tts.models.standardizer import Standardizer, statistics_names


class FastSpeech2(Speaks, nn.Module):
    """Tokens to a log-mel spectrogram, not frame by frame (Ren et al. 2021, "FastSpeech 2").

    As in FastPitch (Łańcucki 2021), pitch and energy are those of tokens, not of frames. Durations are
    learned with the model: soft alignment, forward-sum loss, monotonic search (Badlani et al. 2021).

    Args:
        config: Components and sizes.
        vocab_size: Number of tokens.
        sample_rate: Rate of the audio in Hz.
        stats: Feature statistics by name, in training.
        tokenizer: Not needed; kept for :meth:`infer`.
    """

    updates: Tensor

    def __init__(
        self,
        config: FastSpeech2Config,
        *,
        vocab_size: int,
        sample_rate: int,
        stats: Mapping[str, Any] | None = None,
        tokenizer: Any = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.sample_rate = sample_rate
        self.tokenizer = tokenizer
        self.features: Features = config.frontend.build(sample_rate=sample_rate)
        n_mels = self.features.output_size
        groups = config.speakers if config.statistics == "speaker" else ()
        self.statistics_of = ("mel", *statistics_names("pitch", groups), *statistics_names("energy", groups))
        self.mel_scale = Standardizer("mel", n_mels, (), stats)
        self.pitch_scale = Standardizer("pitch", 1, groups, stats)
        self.energy_scale = Standardizer("energy", 1, groups, stats)
        self.embedding = nn.Embedding(vocab_size, config.token_size)
        # Small, as the encoder multiplies its input by the root of its size.
        nn.init.normal_(self.embedding.weight, std=config.token_size**-0.5)
        self.encoder = config.encoder.build(input_size=config.token_size)
        size = self.encoder.output_size
        self.speakers = Speakers(config.speakers, size)
        self.aligner = Aligner(
            token_size=config.token_size,
            n_mels=n_mels,
            size=config.aligner.size,
            temperature=config.aligner.temperature,
            prior_scale=config.aligner.prior_scale,
        )
        self.duration = Predictor(config.predictor, input_size=size)
        self.pitch = Predictor(config.predictor, input_size=size)
        self.energy = Predictor(config.predictor, input_size=size)
        self.pitch_embedding = VarianceEmbedding(size, config.variance_kernel)
        self.energy_embedding = VarianceEmbedding(size, config.variance_kernel)
        self.decoder = config.decoder.build(input_size=size)
        self.out = nn.Linear(self.decoder.output_size, n_mels)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def collect_feats(
        self, speech: Tensor, speech_lengths: Tensor, speaker: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Features whose statistics are wanted: bands, logarithms of F0 of voiced frames, energies."""
        acoustic = self.features(speech, speech_lengths)
        assert acoustic.f0 is not None
        numbers = self.speakers.numbers(speaker, len(speech), speech.device)
        found = {"mel": acoustic.mel, "mel_lengths": acoustic.lengths}
        valid = valid_mask(acoustic.lengths, acoustic.mel.shape[1])
        logs = acoustic.f0.clamp(min=1.0).log()
        for name, values, counted in (("pitch", logs, acoustic.f0 > 0), ("energy", acoustic.energy, valid)):
            grouped = self.config.statistics == "speaker"
            for row, key in enumerate(statistics_names(name, self.config.speakers if grouped else ())):
                chosen = counted & (numbers == row).unsqueeze(1) if grouped else counted
                flat = values[chosen].view(1, -1, 1)
                found |= {key: flat, f"{key}_lengths": torch.tensor([flat.shape[1]])}
        return found

    def forward(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
        ids: Sequence[str] = (),
    ) -> dict[str, Tensor]:
        """Training losses.

        Args:
            speech: ``(batch, samples)`` audio.
            speech_lengths: ``(batch,)`` samples.
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` tokens.
            speaker: Names of the speakers, where there are several.
            ids: Utterance ids, for messages.

        Returns:
            ``loss``, its parts, and ``weight``, the number of utterances.

        Raises:
            UserError: An utterance has more tokens than frames, or an unknown speaker.
        """
        numbers = self.speakers.numbers(speaker, len(speech), speech.device)
        with torch.no_grad():
            acoustic = self.features(speech, speech_lengths)
            mel = zero_padding(self.mel_scale(acoustic.mel), acoustic.lengths)
        check_frames(text_lengths, acoustic.lengths, ids)
        embedded = self._embed(text, text_lengths)
        soft = self.aligner(embedded, text_lengths, mel, acoustic.lengths)
        durations = monotonic_alignment(soft.log_probs, text_lengths, acoustic.lengths)
        pitch, energy = self._variances(acoustic, durations, numbers)
        losses = self.spoken_losses(embedded, text_lengths, durations, pitch, energy, mel, numbers)
        losses |= self._alignment_losses(soft, durations, text_lengths, acoustic.lengths)
        return {**summed(losses), "weight": torch.tensor(len(speech), device=speech.device)}

    def _embed(self, text: Tensor, lengths: Tensor) -> Tensor:
        return zero_padding(self.embedding(text.clamp(min=0)), lengths)

    def _encode(self, embedded: Tensor, lengths: Tensor, speakers: Tensor | None) -> Tensor:
        hidden = self.encoder(embedded, lengths).features
        return zero_padding(self.speakers(hidden, speakers), lengths)

    def _variances(
        self, acoustic: Acoustic, durations: Tensor, speakers: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Standardized pitch and energy of tokens; the pitch of unvoiced ones is the mean, 0."""
        assert acoustic.f0 is not None
        voiced = acoustic.f0 > 0
        logs = acoustic.f0.clamp(min=1.0).log().unsqueeze(2)
        pitch = token_means(self.pitch_scale(logs, speakers).squeeze(2), voiced, durations)
        energies = self.energy_scale(acoustic.energy.unsqueeze(2), speakers).squeeze(2)
        return pitch, token_means(energies, torch.ones_like(voiced), durations)

    def _variance_losses(
        self, hidden: Tensor, lengths: Tensor, durations: Tensor, pitch: Tensor, energy: Tensor
    ) -> dict[str, Tensor]:
        """Deviance of durations (in frames), mean squared errors of pitch and of energy."""
        errors = {
            "duration": gamma_deviance(
                self.duration(hidden, lengths), durations.clamp(min=1).to(hidden.dtype)
            ),
            "pitch": (self.pitch(hidden, lengths) - pitch).square(),
            "energy": (self.energy(hidden, lengths) - energy).square(),
        }
        valid = valid_mask(lengths, hidden.shape[1])
        return {f"loss_{name}": (error * valid).sum() / lengths.sum() for name, error in errors.items()}

    def _alignment_losses(
        self, soft: SoftAlignment, durations: Tensor, tokens: Tensor, frames: Tensor
    ) -> dict[str, Tensor]:
        config = self.config.aligner
        if self.training:
            self.updates += 1
        grown = (self.updates - config.binarization_start) / config.binarization_ramp
        binary = config.binarization_weight * grown.clamp(0, 1)
        return {
            "loss_align": config.loss_weight * forward_sum_loss(soft.scores, tokens, frames),
            "loss_binary": binary * binarization_loss(soft.log_probs, durations),
        }

    def spoken_losses(
        self,
        embedded: Tensor,
        lengths: Tensor,
        durations: Tensor,
        pitch: Tensor,
        energy: Tensor,
        mel: Tensor,
        speakers: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of all but the aligner.

        Args:
            embedded: ``(batch, tokens, size)`` embeddings, zero in padding.
            lengths: ``(batch,)`` tokens.
            durations: ``(batch, tokens)`` frames.
            pitch: ``(batch, tokens)``, standardized.
            energy: ``(batch, tokens)``, standardized.
            mel: ``(batch, frames, n_mels)``, standardized.
            speakers: ``(batch,)`` numbers of speakers.
        """
        hidden = self._encode(embedded, lengths, speakers)
        losses = self._variance_losses(hidden, lengths, durations, pitch, energy)
        hidden = hidden + self.pitch_embedding(pitch) + self.energy_embedding(energy)
        frames, sizes = expanded(hidden, durations)
        predicted = self.out(self.decoder(frames, sizes).features)
        valid = valid_mask(sizes, mel.shape[1]).unsqueeze(2)
        error = ((predicted - mel).abs() * valid).sum() / (valid.sum() * mel.shape[2])
        return {"loss_mel": error, **losses}

    @torch.inference_mode()
    def align(
        self,
        speech: Tensor,
        speech_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
    ) -> tuple[Tensor, SoftAlignment]:
        """Durations of ``(batch, tokens)`` in recorded speech, in frames, and the soft alignment.

        It does not depend on the speaker.
        """
        acoustic = self.features(speech, speech_lengths, pitch=False)
        check_frames(text_lengths, acoustic.lengths)
        mel = zero_padding(self.mel_scale(acoustic.mel), acoustic.lengths)
        soft = self.aligner(self._embed(text, text_lengths), text_lengths, mel, acoustic.lengths)
        return monotonic_alignment(soft.log_probs, text_lengths, acoustic.lengths), soft

    @torch.inference_mode()
    def speak(
        self,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
        controls: Controls | None = None,
    ) -> Spoken:
        """Log-mel spectrograms of texts.

        Args:
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` tokens.
            speaker: Names of the speakers, where there are several.
            controls: Speed, pitch and energy; None for as predicted.

        Raises:
            UserError: A speaker is unknown, none is named, or steps or temperature are controlled.
        """
        controls = controls or Controls()
        only(controls, "tts/fastspeech2", "speed", "pitch", "energy")
        numbers = self.speakers.numbers(speaker, len(text), text.device)
        return self.rendered(text, text_lengths, numbers, controls)

    def rendered(
        self, text: Tensor, text_lengths: Tensor, numbers: Tensor | None, controls: Controls
    ) -> Spoken:
        """What :meth:`speak` gives, for ``(batch,)`` numbers of speakers: operations on tensors alone."""
        hidden = self._encode(self._embed(text, text_lengths), text_lengths, numbers)
        valid = valid_mask(text_lengths, text.shape[1])
        real = self.duration(hidden, text_lengths).exp().clamp(min=1.0) * valid
        durations = rounded(real / controls.speed)
        pitch = self._controlled(self.pitch(hidden, text_lengths), self.pitch_scale, controls.pitch, numbers)
        energy = self._controlled(
            self.energy(hidden, text_lengths), self.energy_scale, controls.energy, numbers
        )
        hidden = hidden + self.pitch_embedding(pitch * valid) + self.energy_embedding(energy * valid)
        frames, lengths = expanded(hidden, durations)
        mel = self.mel_scale.inverse(self.out(self.decoder(frames, lengths).features))
        return Spoken(zero_padding(mel, lengths), lengths, durations)

    @staticmethod
    def _controlled(values: Tensor, scale: Standardizer, factor: float, speakers: Tensor | None) -> Tensor:
        """Standardized logarithms of what is ``factor`` times as large."""
        if factor == 1.0:
            return values
        logs = scale.inverse(values.unsqueeze(2), speakers) + torch.tensor(factor).log()
        return scale(logs, speakers).squeeze(2)

    def graph(self, texts: Sequence[Sequence[int]]) -> Graph:
        """Tokens to a spectrogram, as ``espnet3 export`` writes it; ``texts`` are examples of ids."""
        from espnet3_tts.models.fastspeech2.graph import acoustic_graph

        return acoustic_graph(self, texts)
