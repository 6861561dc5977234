"""Hybrid CTC/attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from espnet3_core.errors import UserError
from espnet3_speech.init import initialize
from espnet3_speech.losses import IGNORED, LabelSmoothingLoss, token_accuracy
from torch import Tensor

from espnet3_asr.models.ctc_attention.config import CTCAttentionConfig
from espnet3_asr.models.ctc_branch import detached
from espnet3_asr.models.recogniser import Recogniser


class CTCAttention(Recogniser):
    """An encoder with a CTC output and an attention decoder (Watanabe et al. 2017, section III-A).

    Args:
        config: Components and losses.
        vocab_size: Number of tokens; 0 is the blank, the last one starts and ends sentences.
        sample_rate: Rate of the audio in Hz.
        stats: Feature statistics by name, in training.
        tokenizer: Lets :meth:`infer` return text.

    Raises:
        UserError: A weight is out of its range.
    """

    ends = 1

    def __init__(
        self,
        config: CTCAttentionConfig,
        *,
        vocab_size: int,
        sample_rate: int,
        stats: Mapping[str, Any] | None = None,
        tokenizer: Any = None,
    ) -> None:
        super().__init__(
            config, vocab_size=vocab_size, sample_rate=sample_rate, stats=stats, tokenizer=tokenizer
        )
        _check(config)
        self.ctc_weight = config.ctc_weight
        self.decoder = config.decoder.build(vocab_size=vocab_size, encoder_size=self.stack.output_size)
        self.attention_loss = LabelSmoothingLoss(
            config.label_smoothing, "tokens" if config.length_normalized else "batch"
        )
        initialize(self, config.init)
        if config.ctc_weight == 0:
            # Parameters that get no gradient must not wait for one when several processes train.
            self.ctc.requires_grad_(False)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> dict[str, Tensor]:
        """Training loss ``w * loss_ctc + (1 - w) * loss_att`` (Watanabe et al. 2017, equation 32).

        Args:
            speech: ``(batch, samples)`` audio.
            speech_lengths: ``(batch,)`` valid samples.
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` valid tokens.

        Returns:
            ``loss``, ``loss_ctc``, ``loss_att``, ``acc`` (share of next tokens that the decoder ranks
            first), ``ctc_impossible`` and ``weight``: the number of utterances, or of their tokens and ends,
            that the loss is the mean of.
        """
        encoded = self.encode(speech, speech_lengths)
        inputs, labels = shifted(text, text_lengths, self.vocab_size - 1)
        logits = self.decoder(inputs, text_lengths + 1, encoded.features, encoded.lengths)
        parts = {"loss_att": self.attention_loss(logits, labels)}
        loss = (1 - self.ctc_weight) * parts["loss_att"]
        if self.ctc_weight > 0:
            parts |= self.ctc(encoded, text, text_lengths)
            loss = loss + self.ctc_weight * parts["loss_ctc"]
        parts["acc"] = token_accuracy(logits, labels)
        parts.pop("counted", None)
        shares = text_lengths + self.ends if self.config.length_normalized else torch.ones_like(text_lengths)
        return {"loss": loss, **detached(parts), "weight": shares.sum()}


def shifted(text: Tensor, lengths: Tensor, boundary: int) -> tuple[Tensor, Tensor]:
    """Decoder inputs and labels: the text after a start token, and the text followed by an end token.

    Args:
        text: ``(batch, tokens)`` ids, padded with anything.
        lengths: ``(batch,)``.
        boundary: Id of the token that starts and ends sentences.

    >>> inputs, labels = shifted(torch.tensor([[5, 6], [7, -1]]), torch.tensor([2, 1]), 9)
    >>> inputs.tolist(), labels.tolist()
    ([[9, 5, 6], [9, 7, 9]], [[5, 6, 9], [7, 9, -1]])
    """
    place = torch.arange(text.shape[1] + 1, device=text.device)
    ends = lengths.unsqueeze(1)
    column = text.new_full((len(text), 1), boundary)
    text = text.masked_fill(place[:-1] >= ends, boundary)
    labels = torch.cat([text, column], 1).masked_fill(place > ends, IGNORED)
    return torch.cat([column, text], 1), labels


def _check(config: CTCAttentionConfig) -> None:
    if not 0 <= config.ctc_weight < 1:
        raise UserError(
            f"model.ctc_weight must be in [0, 1), not {config.ctc_weight}",
            hint="for CTC alone choose model.name=asr/ctc" if config.ctc_weight == 1 else None,
        )
    if not 0 <= config.label_smoothing < 1:
        raise UserError(f"model.label_smoothing must be in [0, 1), not {config.label_smoothing}")
