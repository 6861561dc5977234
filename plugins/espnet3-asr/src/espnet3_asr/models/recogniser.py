"""What every recogniser has: encoder stack and CTC branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from espnet3_asr.models.config import CTCLossConfig
from espnet3_asr.models.ctc_branch import CTCBranch
from espnet3_asr.models.encoder_stack import FEATURES, Encoded, EncoderStack


class Recogniser(nn.Module):
    """Encoder stack and CTC branch: the base of every model here.

    Args:
        config: Components and loss.
        vocab_size: Number of tokens; 0 is the blank, the last one starts and ends sentences.
        sample_rate: Rate of the audio in Hz.
        stats: Feature statistics by name, in training.
        tokenizer: Lets :meth:`infer` return text.

    Attributes:
        ends: Tokens that the model predicts beside those of a text: 1 with a decoder.
    """

    ends: ClassVar[int] = 0

    def __init__(
        self,
        config: CTCLossConfig,
        *,
        vocab_size: int,
        sample_rate: int,
        stats: Mapping[str, Any] | None = None,
        tokenizer: Any = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.vocab_size = vocab_size
        self.sample_rate = sample_rate
        self.tokenizer = tokenizer
        self.stack = EncoderStack(config, sample_rate=sample_rate, stats=stats)
        self.ctc = CTCBranch(
            config, vocab_size=vocab_size, encoder_size=self.stack.output_size, ends=self.ends
        )

    @property
    def statistics_of(self) -> tuple[str, ...]:
        """Features whose statistics the model wants."""
        return self.stack.statistics_of

    @property
    def frame_seconds(self) -> float:
        """Seconds from one encoder frame to the next."""
        return self.stack.samples_per_frame / self.sample_rate

    def collect_feats(self, speech: Tensor, speech_lengths: Tensor) -> dict[str, Tensor]:
        """``features`` ``(batch, frames, dim)`` and ``features_lengths`` before normalization."""
        features, lengths = self.stack.features(speech, speech_lengths)
        return {FEATURES: features, f"{FEATURES}_lengths": lengths}

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> Encoded:
        """``(batch, samples)`` audio to the encoder's output."""
        return self.ctc.encode(self.stack, speech, speech_lengths)

    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Greedy CTC results; a search chosen in the inference configuration does better."""
        from espnet3_asr.searches.config import CTCGreedyConfig
        from espnet3_asr.searches.ctc_greedy import CTCGreedy

        return CTCGreedy(CTCGreedyConfig(), model=self, tokenizer=self.tokenizer).infer(batch)
