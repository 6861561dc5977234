"""A base for CTC models in a few lines of PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from espnet3_core.component import Component, Slot
from espnet3_speech.layers.subsampling import FrameStacking
from espnet3_speech.losses import CTC
from espnet3_speech.normalizers.config import UtteranceMVNConfig
from espnet3_speech.normalizers.mvn import UtteranceMVN
from torch import Tensor, nn

from espnet3_asr.models.encoder_stack import Encoded
from espnet3_asr.searches.config import CTCGreedyConfig
from espnet3_asr.searches.ctc_greedy import CTCGreedy


class PlainCTC(nn.Module):
    """CTC around layers of one's own; a subclass makes them and defines :meth:`hidden`.

    Example::

        class Model(PlainCTC):
            def __init__(self, vocab_size, sample_rate, tokenizer):
                super().__init__(80, vocab_size, sample_rate, tokenizer, stack=3)
                self.rnn = nn.GRU(3 * 40, 80, batch_first=True)

            def hidden(self, features, lengths):
                return self.rnn(features)[0], lengths

    The searches and times of ``espnet3-asr`` work with it.

    Args:
        size: Dimensions of what :meth:`hidden` returns.
        vocab_size: Number of tokens; 0 is the blank.
        sample_rate: Rate of the audio in Hz.
        tokenizer: Lets :meth:`infer` return text.
        stack: Frames of features that are joined to one.
        frontend: Features by name, with its options: 40 log-mel bands are the default.
    """

    def __init__(
        self,
        size: int,
        vocab_size: int,
        sample_rate: int,
        tokenizer: Any = None,
        stack: int = 1,
        frontend: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.sample_rate = sample_rate
        self.tokenizer = tokenizer
        options = dict(frontend or {"name": "speech/log_mel", "n_mels": 40})
        chosen = Component.from_node(options, Slot("module", "frontend"), "frontend")
        self.frontend = chosen.build(sample_rate=sample_rate)
        bands = int(self.frontend.output_size)
        self.normalizer = UtteranceMVN(UtteranceMVNConfig(norm_vars=True), input_size=bands)
        self.stacking = FrameStacking(bands, stack)
        self.ctc = CTC(vocab_size=vocab_size, input_size=size)

    def hidden(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The subclass's layers: ``(batch, frames, stack * bands)`` to ``(batch, frames, size)``; lengths."""
        raise NotImplementedError(f"{type(self).__name__} has to define hidden(features, lengths)")

    def encode(self, speech: Tensor, speech_lengths: Tensor) -> Encoded:
        """``(batch, samples)`` audio to hidden vectors."""
        with torch.autocast(speech.device.type, enabled=False):
            features, lengths = self.stacking(*self.normalizer(*self.frontend(speech, speech_lengths)))
        return Encoded(*self.hidden(features, lengths), intermediate={})

    def forward(
        self, speech: Tensor, speech_lengths: Tensor, text: Tensor, text_lengths: Tensor
    ) -> dict[str, Tensor]:
        """``loss``, the mean over utterances, and ``weight``, their number."""
        encoded = self.encode(speech, speech_lengths)
        loss = self.ctc.loss(encoded.features, encoded.lengths, text, text_lengths)
        return {"loss": loss, "weight": torch.tensor(len(speech), device=speech.device)}

    @cached_property
    def frame_seconds(self) -> float:
        """Seconds from one hidden vector to the next, from the lengths that one and two minutes give."""
        seconds = torch.tensor([60, 120])
        frames = self.stacking.output_lengths(self.frontend.output_lengths(seconds * self.sample_rate))
        weight = self.ctc.out.weight
        empty = weight.new_zeros(2, int(frames.max()), self.stacking.output_size)
        with torch.inference_mode():
            first, second = self.hidden(empty, frames.to(weight.device))[1].tolist()
        return 60 / (second - first)

    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Greedy results; a search chosen in the inference configuration is used instead."""
        return CTCGreedy(CTCGreedyConfig(), model=self, tokenizer=self.tokenizer).infer(batch)
