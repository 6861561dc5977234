"""The model."""

from __future__ import annotations

from typing import Any

from espnet3_asr.models.plain import PlainCTC
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from espnet3_rnn.config import RNNCTCConfig


class RNNCTC(PlainCTC):
    """Bidirectional GRU layers (Cho et al. 2014) between log-mel features and CTC.

    Args:
        config: Sizes.
        vocab_size: Number of tokens; 0 is the blank.
        sample_rate: Rate of the audio in Hz.
        tokenizer: Turns ids into text.
    """

    def __init__(
        self, config: RNNCTCConfig, *, vocab_size: int, sample_rate: int, tokenizer: Any = None
    ) -> None:
        super().__init__(2 * config.hidden_size, vocab_size, sample_rate, tokenizer, stack=config.stack)
        self.rnn = nn.GRU(
            40 * config.stack,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )

    def hidden(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Packed, so that padding reaches no utterance."""
        packed = pack_padded_sequence(features, lengths.cpu(), batch_first=True, enforce_sorted=False)
        values, counts = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return values, counts.to(features.device)
