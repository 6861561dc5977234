"""An encoder with a CTC output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espnet3_speech.init import initialize
from torch import Tensor

from espnet3_asr.models.ctc.config import CTCConfig
from espnet3_asr.models.ctc_branch import detached
from espnet3_asr.models.recogniser import Recogniser


class CTCModel(Recogniser):
    """Connectionist temporal classification (Graves et al. 2006, section 3) on any encoder."""

    def __init__(
        self,
        config: CTCConfig,
        *,
        vocab_size: int,
        sample_rate: int,
        stats: Mapping[str, Any] | None = None,
        tokenizer: Any = None,
    ) -> None:
        super().__init__(
            config, vocab_size=vocab_size, sample_rate=sample_rate, stats=stats, tokenizer=tokenizer
        )
        initialize(self, config.init)

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> dict[str, Tensor]:
        """Training loss.

        Args:
            speech: ``(batch, samples)`` audio.
            speech_lengths: ``(batch,)`` valid samples.
            text: ``(batch, tokens)`` ids, padded with -1.
            text_lengths: ``(batch,)`` valid tokens.

        Returns:
            ``loss``, ``loss_ctc``, ``ctc_impossible`` and ``weight``: the number of utterances, or of their
            tokens, that the loss is the mean of.
        """
        encoded = self.encode(speech, speech_lengths)
        parts = self.ctc(encoded, text, text_lengths)
        weight = parts.pop("counted")
        return {"loss": parts["loss_ctc"], **detached(parts), "weight": weight}
