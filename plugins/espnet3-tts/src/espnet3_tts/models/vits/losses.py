"""How far the latent of speech is from that of text."""

from __future__ import annotations

from espnet3_speech.masks import utterance_means
from torch import Tensor


def divergence(
    latent: Tensor, log_std: Tensor, prior_mean: Tensor, prior_log_std: Tensor, lengths: Tensor
) -> Tensor:
    """Kullback-Leibler divergence of posterior from prior, in nats per frame (Kim et al. 2021, equation 3).

    The posterior's own term is its expectation, the prior's is that of the latent that was drawn: the mean
    over draws is the divergence. The flow preserves volume and so adds nothing.

    Args:
        latent: ``(batch, frames, channels)`` drawn from the posterior and brought to the text by the flow.
        log_std: ``(batch, frames, channels)`` of the posterior, before the flow.
        prior_mean: ``(batch, frames, channels)`` of each frame's token.
        prior_log_std: ``(batch, frames, channels)``.
        lengths: ``(batch,)`` frames.

    Returns:
        ``(batch,)``.
    """
    squares = (latent - prior_mean).square() * (-2 * prior_log_std).exp()
    terms = prior_log_std - log_std - 0.5 + 0.5 * squares
    return utterance_means(terms.sum(2), lengths)
