"""The CTC side of a recogniser: output layer, loss, intermediate losses, self-conditioning."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from espnet3_core.errors import UserError
from espnet3_speech.config import CTCConfig
from espnet3_speech.layers.ctc_loss import ctc_loss_of_logits
from espnet3_speech.losses import CTC, too_short
from espnet3_speech.masks import zero_padding
from torch import Tensor, nn

from espnet3_asr.models.config import CTCLossConfig
from espnet3_asr.models.encoder_stack import Encoded

_PRIOR_MOMENTUM = 0.01
"""Share of a batch in the running mean of posteriors: the last few hundred batches count."""


class CTCBranch(nn.Module):
    """CTC over the encoder's output, and over some of its layers.

    Intermediate losses follow Lee and Watanabe 2021 ("Intermediate Loss Regularization for CTC-based Speech
    Recognition", equation 7): ``(1 - w) * last + w * mean(intermediate)``, all through one output layer.
    With self-conditioning (Nozaki and Komatsu 2021, "Relaxing the Conditional Independence Assumption of
    CTC-based ASR by Conditioning on Intermediate Predictions", equation 12) each intermediate posterior,
    projected back, is added to the input of the next layer.

    Attributes:
        prior: ``(vocabulary,)`` running mean of the posteriors in training, or None where not asked for
            (``ctc_prior``).

    Args:
        config: Intermediate layers, weights, dropout.
        vocab_size: Number of tokens; id 0 is the blank.
        encoder_size: Dimension of the encoder's output.
        ends: Tokens that a text has beside its own where losses are divided by tokens: 1 in a model whose
            decoder predicts the end, so that all its losses are divided by the same number.

    Raises:
        UserError: A weight is outside of [0, 1), or self-conditioning has no layers.
    """

    prior: Tensor | None

    def __init__(self, config: CTCLossConfig, *, vocab_size: int, encoder_size: int, ends: int = 0) -> None:
        super().__init__()
        _check(config)
        self.layers = tuple(config.intermediate_layers)
        self.weight = config.intermediate_weight
        self.length_normalized = config.length_normalized
        self.ends = ends
        self.head = CTC(CTCConfig(dropout=config.ctc_dropout), vocab_size=vocab_size, input_size=encoder_size)
        self.feedback = nn.Linear(vocab_size, encoder_size) if config.self_conditioning else None
        self.register_buffer("prior", torch.full((vocab_size,), 1 / vocab_size) if config.ctc_prior else None)

    def log_probs(self, features: Tensor) -> Tensor:
        """``(batch, frames, size)`` to log-probabilities ``(batch, frames, vocabulary)``, at least fp32."""
        return self.head.log_probs(features)

    def best_path(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability and id of the best token of each frame, both ``(batch, frames)``."""
        return self.head.best_path(features)

    def _condition(self, features: Tensor) -> Tensor:
        assert self.feedback is not None
        return self.feedback(self.log_probs(features).exp().to(self.feedback.weight.dtype))

    def encode(self, stack: Callable[..., Encoded], values: Tensor, lengths: Tensor) -> Encoded:
        """Run the encoder with what this branch wants from its layers.

        ``stack`` is an ``EncoderStack``, whose values are audio, or its ``encode``, whose are features.
        Outside of training, intermediate layers are asked for only when they change the stream.
        """
        condition = self._condition if self.feedback is not None else None
        layers = self.layers if self.training or condition is not None else ()
        return stack(values, lengths, intermediate_layers=layers, condition=condition)

    def forward(self, encoded: Encoded, text: Tensor, text_lengths: Tensor) -> dict[str, Tensor]:
        """The loss and its parts.

        Args:
            encoded: What :meth:`encode` returned.
            text: ``(batch, tokens)`` ids, padded with anything.
            text_lengths: ``(batch,)``.

        Returns:
            ``loss_ctc``; ``counted``, what it is divided by; ``ctc_impossible``, the number of utterances
            with fewer frames than their text needs, which have no CTC loss and are left out of the mean; with
            intermediate layers also ``loss_ctc_final`` and ``loss_ctc_<layer>``.
        """
        impossible = too_short(encoded.lengths, text, text_lengths)
        shares = text_lengths + self.ends if self.length_normalized else torch.ones_like(text_lengths)
        counted = shares.masked_fill(impossible, 0).sum()

        def loss_of(logits: Tensor) -> Tensor:
            # The mean over all utterances, in which the impossible ones are zero.
            mean = ctc_loss_of_logits(logits, encoded.lengths, text, text_lengths)
            return mean * len(text) / counted.clamp(min=1)

        logits = self.head.logits(encoded.features)
        final = loss_of(logits)
        if self.training and self.prior is not None:
            self._follow(logits, encoded.lengths)
        told = {"counted": counted, "ctc_impossible": impossible.sum()}
        if not self.layers or not encoded.intermediate:
            return {"loss_ctc": final, **told}
        parts = {
            f"loss_ctc_{layer}": loss_of(self.head.logits(_output(encoded, layer))) for layer in self.layers
        }
        inner = torch.stack(list(parts.values())).mean()
        loss = (1 - self.weight) * final + self.weight * inner
        return {"loss_ctc": loss, **told, "loss_ctc_final": final, **parts}

    @torch.no_grad()
    def _follow(self, logits: Tensor, lengths: Tensor) -> None:
        """Take the posteriors of a batch into their running mean."""
        assert self.prior is not None
        posteriors = zero_padding(logits.float().softmax(-1), lengths)
        mean = posteriors.sum((0, 1)) / lengths.sum().clamp(min=1)
        self.prior.lerp_(mean.to(self.prior.dtype), _PRIOR_MOMENTUM)


def _output(encoded: Encoded, layer: int) -> Tensor:
    if layer not in encoded.intermediate:
        raise UserError(
            f"model.intermediate_layers: the encoder has no layer {layer}",
            hint=f"it returned layers {sorted(encoded.intermediate)}",
        )
    return encoded.intermediate[layer]


def _check(config: CTCLossConfig) -> None:
    if not 0 <= config.intermediate_weight < 1:
        raise UserError(f"model.intermediate_weight must be in [0, 1), not {config.intermediate_weight}")
    if config.self_conditioning and not config.intermediate_layers:
        raise UserError(
            "model.self_conditioning needs intermediate layers",
            hint="set model.intermediate_layers, e.g. [6]",
        )


def detached(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a loss as values to log: without their graph."""
    return {name: value.detach() for name, value in parts.items()}
