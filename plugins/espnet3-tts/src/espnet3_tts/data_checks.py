"""What only synthesis knows of data: whether text can be spoken, and has frames enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from espnet3_core.data.checking.findings import DataFinding
from espnet3_core.errors import UserError

HINT = "alignment needs a frame for each token: correct text or audio, or leave the utterance out"


def check_texts(context: Any, split: Any, tokenizer: Any) -> Iterator[DataFinding]:
    """Utterances whose text cannot be spoken, or has more tokens than the audio has frames."""
    from espnet3_tts.features.config import FeaturesConfig

    model = context.config("training").model
    config = model.config if model.name is not None else None
    frontend = getattr(getattr(config, "frontend", None), "config", None)
    if tokenizer is None or not isinstance(frontend, FeaturesConfig):
        return
    hop = frontend.hop
    for item in split.items:
        text = item.fields.get("text")
        if not isinstance(text, str):
            continue
        try:
            tokens = len(tokenizer.encode(text))
        except UserError as error:
            yield item.finding("unspeakable text", error.message, split.name, hint=error.hint)
            continue
        if split.role != "test" and item.samples and tokens > item.samples // hop:
            reason = f"its text has {tokens} tokens, and its audio {item.samples // hop} frames"
            yield item.finding("too short for its text", reason, split.name, hint=HINT)
