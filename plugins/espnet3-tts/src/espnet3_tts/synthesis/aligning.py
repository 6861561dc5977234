"""Recordings and their texts, aligned by a trained model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from espnet3_core.errors import UserError

from espnet3_tts.aligners.durations import owners
from espnet3_tts.aligners.search import posteriors


class Alignments:
    """Which frames belong to which token in recorded speech.

    ``durations`` are those of the best monotonic alignment, which has all tokens by construction.
    What has been learnt is seen where that is not forced:

    * ``ordered``: taking the most probable token of each frame, by the posterior over all monotonic
      alignments together, never goes back and passes over no token. (That posterior hardly allows going
      back; it does allow passing over a token whose place is uncertain.)
    * ``agreeing``: frames whose most probable token by the soft attention alone, which knows no order, is
      that of the best alignment.
    * ``unseen``: tokens that the soft attention alone prefers in no frame.

    Args:
        config: Nothing to choose.
        model: An acoustic model with ``align`` and ``features``.
        tokenizer: The text frontend, for the tokens' names.
    """

    def __init__(self, config: Any, *, model: Any, tokenizer: Any) -> None:
        if not hasattr(model, "align"):
            raise UserError(
                "tts/alignment: the model has no aligner", hint="use a model such as tts/fastspeech2"
            )
        self.model = model.eval()
        self.tokenizer = tokenizer

    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """``tokens``, ``durations``, ``frames``, ``ordered``, ``agreeing`` and ``unseen`` of each recording.

        Raises:
            UserError: There are no recordings.
        """
        if "speech" not in batch:
            raise UserError("there are no recordings to align", hint="give a test set with audio")
        text, tokens = batch["text"], batch["text_lengths"]
        who = {"speaker": batch["speaker"]} if "speaker" in batch else {}
        durations, soft = self.model.align(batch["speech"], batch["speech_lengths"], text, tokens, **who)
        frames = durations.sum(1)
        likely = posteriors(soft.log_probs, tokens, frames).argmax(2)
        attended = soft.log_probs.argmax(2)
        path = owners(durations, soft.log_probs.shape[1])
        return [
            {
                "tokens": [self.tokenizer.tokens[index] for index in text[row, :count].tolist()],
                "durations": durations[row, :count].tolist(),
                "frames": size,
                "ordered": _is_ordered(likely[row, :size], count),
                "agreeing": int((attended[row, :size] == path[row, :size]).sum()),
                "unseen": count - len(set(attended[row, :size].tolist())),
            }
            for row, (count, size) in enumerate(zip(tokens.tolist(), frames.tolist(), strict=True))
        ]


def _is_ordered(path: torch.Tensor, tokens: int) -> bool:
    steps = path.diff()
    return bool(((steps == 0) | (steps == 1)).all()) and path[0].item() == 0 and path[-1].item() == tokens - 1
