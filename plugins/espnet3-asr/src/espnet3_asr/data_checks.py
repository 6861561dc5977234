"""What only recognition knows of data: whether an utterance has enough frames for its text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from espnet3_core.data.checking.findings import DataFinding

HINT = "CTC leaves it out of the loss: correct text or segment, or choose less subsampling or longer tokens"


def check_lengths(context: Any, split: Any, tokenizer: Any) -> Iterator[DataFinding]:
    """Utterances of training and validation whose text has no CTC alignment after subsampling.

    It takes a frame per token, and one between two equal tokens (Graves et al. 2006, section 3).
    """
    from espnet3_asr.models.config import CTCLossConfig

    model = context.config("training").model
    config = model.config if model.name is not None else None
    if tokenizer is None or split.role == "test" or not isinstance(config, CTCLossConfig):
        return
    items = [item for item in split.items if item.samples and isinstance(item.fields.get("text"), str)]
    frames = encoder_frames(config, context.sample_rate, [item.samples for item in items])
    for item, available in zip(items, frames, strict=True):
        tokens = tokenizer.encode(item.fields["text"])
        needed = len(tokens) + sum(a == b for a, b in zip(tokens, tokens[1:], strict=False))
        if needed > available:
            reason = f"its text needs {needed} frames, and the encoder gives {available} after subsampling"
            yield item.finding("too long for CTC", reason, split.name, level="warning", hint=HINT)


def encoder_frames(config: Any, sample_rate: int, samples: Sequence[int]) -> list[int]:
    """Encoder frames of utterances of so many samples; no weights are allocated."""
    import torch

    frontend = config.frontend.build(sample_rate=sample_rate)
    with torch.device("meta"):
        encoder = config.encoder.build(input_size=frontend.output_size)
    lengths = torch.tensor(list(samples), dtype=torch.int64)
    frames: list[int] = encoder.output_lengths(frontend.output_lengths(lengths)).tolist()
    return frames
