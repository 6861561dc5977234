"""What models that speak have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Speaks:
    """Gives a model with ``speak`` and a text frontend the method ``infer``."""

    tokenizer: Any

    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Speech with the default options; a search chosen in the inference configuration sets others."""
        from espnet3_tts.synthesis.config import SynthesizerConfig
        from espnet3_tts.synthesis.synthesizer import Synthesizer

        return Synthesizer(SynthesizerConfig(), model=self, tokenizer=self.tokenizer).infer(batch)
