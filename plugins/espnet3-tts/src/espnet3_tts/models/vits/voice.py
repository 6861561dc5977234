"""The generator's side of VITS: everything that speaks, or learns to."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from espnet3_speech.masks import valid_mask, zero_padding
from torch import Tensor, nn

from espnet3_tts.aligners.durations import expanded, rounded
from espnet3_tts.aligners.likelihoods import log_likelihoods
from espnet3_tts.aligners.search import monotonic_alignment
from espnet3_tts.models.hifigan.generator import Generator
from espnet3_tts.models.noise import utterance_noise
from espnet3_tts.models.speakers import Speakers
from espnet3_tts.models.vits.config import VitsConfig
from espnet3_tts.models.vits.duration import PredictedDuration, StochasticDuration
from espnet3_tts.models.vits.flow import CouplingFlow
from espnet3_tts.models.vits.losses import divergence
from espnet3_tts.models.vits.wavenet import PosteriorEncoder


class TextPrior(NamedTuple):
    """What a text says of the latent.

    Attributes:
        hidden: ``(batch, tokens, size)``.
        mean: ``(batch, tokens, latent)``.
        log_std: ``(batch, tokens, latent)``.
    """

    hidden: Tensor
    mean: Tensor
    log_std: Tensor


class Learned(NamedTuple):
    """What recordings with their texts give.

    Attributes:
        latent: ``(batch, frames, latent)`` drawn from the posterior, zero in padding.
        speaker: ``(batch, speaker_size)``; None for one speaker.
        divergence: ``(batch,)`` nats per frame.
        duration: ``(batch,)`` loss of durations per token.
        likelihoods: ``(batch, frames, tokens)`` on which the alignment was searched.
        durations: ``(batch, tokens)`` frames.
    """

    latent: Tensor
    speaker: Tensor | None
    divergence: Tensor
    duration: Tensor
    likelihoods: Tensor
    durations: Tensor


class Voice(nn.Module):
    """Text encoder, posterior encoder, flow, predictor of durations, and decoder (Kim et al. 2021, figure 1).

    Args:
        config: Components and sizes.
        vocab_size: Number of tokens.
        bins: Of the linear spectrogram.
    """

    def __init__(self, config: VitsConfig, *, vocab_size: int, bins: int) -> None:
        super().__init__()
        self.noise = config.noise
        self.speakers = Speakers(config.speakers, config.speaker_size)
        speaker_size = config.speaker_size if config.speakers else 0
        self.embedding = nn.Embedding(vocab_size, config.token_size)
        nn.init.normal_(self.embedding.weight, std=config.token_size**-0.5)
        self.encoder = config.encoder.build(input_size=config.token_size)
        size, latent = self.encoder.output_size, config.latent
        self.prior = nn.Linear(size, 2 * latent)
        posterior, flow = config.posterior, config.flow
        self.posterior = PosteriorEncoder(
            bins, latent, size=posterior.channels, kernel=posterior.kernel, layers=posterior.layers,
            speaker_size=speaker_size,
        )  # fmt: skip
        self.flow = CouplingFlow(
            config.flows, latent, size=flow.channels, kernel=flow.kernel, layers=flow.layers,
            speaker_size=speaker_size,
        )  # fmt: skip
        kind = StochasticDuration if config.duration.kind == "stochastic" else PredictedDuration
        self.duration = kind(config.duration, input_size=size, speaker_size=speaker_size)
        self.decoder = Generator(config.generator, n_mels=latent, speaker_size=speaker_size)

    def read(self, text: Tensor, lengths: Tensor) -> TextPrior:
        """The latent's distribution at each token of ``(batch, tokens)`` ids, padded with -1.

        No further than to the end of the longest text, whatever the padding; so it is with all that follows.
        """
        text = text[:, : int(lengths.max())]
        embedded = self.embedding(text.clamp(min=0)) * math.sqrt(self.embedding.embedding_dim)
        hidden = zero_padding(self.encoder(zero_padding(embedded, lengths), lengths).features, lengths)
        mean, log_std = zero_padding(self.prior(hidden), lengths).chunk(2, 2)
        return TextPrior(*(part.to(_wide(part)) for part in (hidden, mean, log_std)))

    def learn(
        self,
        spectrogram: Tensor,
        frames: Tensor,
        text: Tensor,
        tokens: Tensor,
        numbers: Tensor | None,
        seed: int | None = None,
    ) -> Learned:
        """Latents of recordings, aligned with their texts.

        Args:
            spectrogram: ``(batch, frames, bins)`` linear, zero in padding.
            frames: ``(batch,)``.
            text: ``(batch, tokens)`` ids, padded with -1.
            tokens: ``(batch,)``, none larger than ``frames``.
            numbers: ``(batch,)`` of the speakers.
            seed: Of all noise; None draws from torch's own generator.
        """
        speaker = self.speakers.vectors(numbers)
        prior = self.read(text, tokens)
        spectrogram = spectrogram[:, : int(frames.max())]
        mask = _mask(frames, spectrogram)
        mean, log_std = self.posterior(spectrogram.transpose(1, 2), mask, speaker)
        wide = _wide(mean)
        mean, log_std = mean.to(wide), log_std.to(wide)
        noise = utterance_noise(frames, mean.shape[1], mean, seed).transpose(1, 2)
        latent = (mean + noise * log_std.exp()) * mask
        moved = self.flow(latent, mask, speaker).transpose(1, 2).to(wide)
        likelihoods = log_likelihoods(moved, prior.mean, prior.log_std)
        durations = monotonic_alignment(likelihoods, tokens, frames)
        # Durations learn from the encoder, and the encoder does not from them (section 2.2.2).
        who = None if speaker is None else speaker.detach()
        return Learned(
            latent.transpose(1, 2),
            speaker,
            divergence(
                moved,
                log_std.transpose(1, 2),
                *_of_frames(prior, durations)[:2],
                frames,
            ),
            self.duration(prior.hidden.detach(), tokens, durations, who, seed),
            likelihoods,
            durations,
        )

    def speak(
        self,
        text: Tensor,
        tokens: Tensor,
        numbers: Tensor | None,
        speed: float = 1.0,
        seed: int = 0,
        temperature: float | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Waveforms of texts.

        Args:
            text: ``(batch, tokens)`` ids, padded with -1.
            tokens: ``(batch,)``.
            numbers: ``(batch,)`` of the speakers.
            speed: Factor on the rate of speech.
            seed: Of all noise, with which each utterance begins anew.
            temperature: Factor on the noise of the latent; None for the configured one.

        Returns:
            ``(batch, samples)``, zero in padding, and ``(batch, tokens)`` durations in frames.
        """
        speaker = self.speakers.vectors(numbers)
        prior = self.read(text, tokens)
        durations = rounded(self.duration.draw(prior.hidden, tokens, speaker, seed) / speed)
        mean, log_std, frames = _of_frames(prior, durations)
        mask = _mask(frames, mean)
        temperature = self.noise if temperature is None else temperature
        if temperature and int(frames.max()):
            mean = mean + temperature * utterance_noise(frames, mean.shape[2], mean, seed) * log_std.exp()
        latent = self.flow.inverse(mean.transpose(1, 2) * mask, mask, speaker).transpose(1, 2)
        return self.decoder.each(latent, frames, speaker), durations


def _of_frames(prior: TextPrior, durations: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and logarithm of the deviation of each frame's token, and ``(batch,)`` frames."""
    both, frames = expanded(torch.cat([prior.mean, prior.log_std], 2), durations)
    mean, log_std = both.chunk(2, 2)
    return mean, log_std, frames


def _mask(lengths: Tensor, like: Tensor) -> Tensor:
    """``(batch, 1, frames)``, 1 in valid frames of ``(batch, frames, …)`` and 0 in padding."""
    return valid_mask(lengths, like.shape[1]).unsqueeze(1).to(like.dtype)


def _wide(values: Tensor) -> torch.dtype:
    """Float32 at least, also where an autocast makes less of it."""
    return torch.promote_types(values.dtype, torch.float32)
