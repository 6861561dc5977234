"""Matcha-TTS."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from espnet3_speech.masks import utterance_means, zero_padding
from torch import Tensor, nn

from espnet3_tts.aligners.aligner import MASKED, SoftAlignment
from espnet3_tts.aligners.durations import expanded, rounded
from espnet3_tts.aligners.likelihoods import log_likelihoods
from espnet3_tts.aligners.prior import alignment_mask, beta_binomial_prior
from espnet3_tts.aligners.search import check_frames, monotonic_alignment
from espnet3_tts.features.features import Features
from espnet3_tts.models.contract import Controls, Spoken, only, summed
from espnet3_tts.models.matcha.config import MatchaConfig
from espnet3_tts.models.matcha.flow import euler, matching_loss, path, spread_times
from espnet3_tts.models.matcha.text import TextEncoder
from espnet3_tts.models.matcha.unet import UNet
from espnet3_tts.models.noise import STILL, utterance_noise
from espnet3_tts.models.speakers import Speakers
from espnet3_tts.models.speaking import Speaks
from espnet3_tts.models.standardizer import Standardizer

_LOG_2_PI = math.log(2 * math.pi)


class Matcha(Speaks, nn.Module):
    """Tokens to a log-mel spectrogram by a flow that begins at noise (Mehta et al. 2024, "Matcha-TTS").

    The encoder predicts a mean spectrogram frame of each token. Monotonic search finds the durations with
    which these means, of deviation 1, explain the recording best (Kim et al. 2020, "Glow-TTS"). A U-Net that
    sees the means at these durations learns the way from noise to the recording by optimal-transport
    conditional flow matching. Losses are means over utterances, of each over its frames or tokens.

    The encoder is any that is registered. The default, ``tts/fft``, has the authors' sizes; its layer norms
    stand before, not after, attention and convolutions, and rotary positions turn all dimensions.

    Args:
        config: Components and sizes.
        vocab_size: Number of tokens.
        sample_rate: Rate of the audio in Hz.
        stats: Feature statistics by name, in training.
        tokenizer: Not needed; kept for :meth:`infer`.
    """

    statistics_of = ("mel",)

    def __init__(
        self,
        config: MatchaConfig,
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
        self.mel_scale = Standardizer("mel", n_mels, (), stats)
        self.speakers = Speakers(config.speakers, config.token_size)
        self.text = TextEncoder(config, vocab_size=vocab_size, n_mels=n_mels)
        self.unet = UNet(
            config.unet,
            input_size=2 * n_mels + (config.token_size if config.speakers else 0),
            output_size=n_mels,
            time_waves=2 * n_mels,
        )

    def collect_feats(self, speech: Tensor, speech_lengths: Tensor) -> dict[str, Tensor]:
        """Features whose statistics are wanted: the bands."""
        acoustic = self.features(speech, speech_lengths, pitch=False)
        return {"mel": acoustic.mel, "mel_lengths": acoustic.lengths}

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
            ``loss``, its parts ``loss_flow``, ``loss_prior`` and ``loss_duration``, and ``weight``, the
            number of utterances.

        Raises:
            UserError: An utterance has more tokens than frames, or an unknown speaker.
        """
        vectors = self._speakers(speaker, text)
        mel, frames = self._recorded(speech, speech_lengths)
        check_frames(text_lengths, frames, ids)
        means, logs = self.text(text, text_lengths, vectors)
        durations = monotonic_alignment(
            self._scores(means.detach(), text_lengths, mel, frames), text_lengths, frames
        )
        guide, _ = expanded(means, durations)
        errors = (logs - durations.clamp(min=1).to(mel.dtype).log()).square()
        losses = {
            "loss_flow": self._flow_loss(mel, guide, frames, vectors),
            "loss_prior": utterance_means(((mel - guide).square().mean(-1) + _LOG_2_PI) / 2, frames).mean(),
            "loss_duration": utterance_means(errors, text_lengths).mean(),
        }
        return {**summed(losses), "weight": torch.tensor(len(speech), device=speech.device)}

    def _speakers(self, names: Sequence[str] | None, text: Tensor) -> Tensor | None:
        return self.speakers.vectors(self.speakers.numbers(names, len(text), text.device))

    @torch.no_grad()
    def _recorded(self, speech: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Standardized spectrogram, zero in padding, and its frames."""
        acoustic = self.features(speech, lengths, pitch=False)
        mel = self.mel_scale(acoustic.mel)[:, : max(int(acoustic.lengths.max()), 1)]
        return zero_padding(mel, acoustic.lengths), acoustic.lengths

    def _scores(self, means: Tensor, tokens: Tensor, mel: Tensor, frames: Tensor) -> Tensor:
        """What the search maximizes: log-likelihoods with the prior of alignments, very low in padding."""
        scores = log_likelihoods(mel, means)
        if self.config.prior_scale:
            scores = scores + beta_binomial_prior(tokens, frames, self.config.prior_scale)
        return scores.masked_fill(~alignment_mask(tokens, frames), MASKED)

    def _flow_loss(self, mel: Tensor, guide: Tensor, lengths: Tensor, vectors: Tensor | None) -> Tensor:
        """Error of the U-Net at random times, with random noise; outside of training at certain ones."""
        noise = utterance_noise(lengths, mel.shape[2], mel, None if self.training else STILL)
        if self.training:
            time = torch.rand(len(mel), dtype=mel.dtype, device=mel.device)
        else:
            time = spread_times(lengths, mel)
        place, velocity = path(noise, mel, time, self.config.sigma_min)
        return matching_loss(self._velocity(place, guide, lengths, time, vectors), velocity, lengths)

    def _velocity(
        self, place: Tensor, guide: Tensor, lengths: Tensor, time: Tensor, vectors: Tensor | None
    ) -> Tensor:
        parts = [place, guide]
        if vectors is not None:
            parts.append(vectors.unsqueeze(1).expand(-1, place.shape[1], -1))
        return self.unet(zero_padding(torch.cat(parts, 2), lengths), lengths, time)

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
        mel, frames = self._recorded(speech, speech_lengths)
        check_frames(text_lengths, frames)
        means, _ = self.text(text, text_lengths, self._speakers(speaker, text))
        scores = self._scores(means, text_lengths, mel, frames)
        soft = SoftAlignment(scores, scores.log_softmax(-1))
        return monotonic_alignment(scores, text_lengths, frames), soft

    @torch.inference_mode()
    def speak(
        self,
        text: Tensor,
        text_lengths: Tensor,
        speaker: Sequence[str] | None = None,
        controls: Controls | None = None,
    ) -> Spoken:
        """Log-mel spectrograms of texts.

        Durations are rounded up, as the authors do it, before they are divided by the speed.

        Args:
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` tokens.
            speaker: Names of the speakers, where there are several.
            controls: Speed, seed, steps and temperature; None for as predicted.

        Raises:
            UserError: A speaker is unknown, none is named, or pitch or energy are controlled.
        """
        controls = controls or Controls()
        only(controls, "tts/matcha", "speed", "steps", "temperature")
        vectors = self._speakers(speaker, text)
        means, logs = self.text(text, text_lengths, vectors)
        real = zero_padding(logs.exp().ceil().clamp(min=1.0).unsqueeze(2), text_lengths).squeeze(2)
        durations = rounded(real / controls.speed)
        guide, lengths = expanded(means, durations)
        temperature = self.config.temperature if controls.temperature is None else controls.temperature
        steps = self.config.steps if controls.steps is None else controls.steps
        start = temperature * utterance_noise(lengths, guide.shape[2], guide, controls.seed)
        mel = euler(lambda x, t: self._velocity(x, guide, lengths, t, vectors), start, steps)
        return Spoken(zero_padding(self.mel_scale.inverse(mel), lengths), lengths, durations)
