"""Models of the plugin pass the conformance kit."""

from __future__ import annotations

from typing import Any

from espnet3_core.testing import ModelConformance

FRONTEND = {"name": "tts/features", "n_fft": 256, "window": 256, "hop": 64, "n_mels": 20, "fmax": None}
BLOCKS = {
    "name": "tts/fft", "output_size": 16, "linear_units": 24, "num_blocks": 1, "kernels": [3, 3],
    "positions": "rope",
}  # fmt: skip


class TestMatcha(ModelConformance):
    """Compared are spectrograms and durations, before a vocoder."""

    name = "tts/matcha"
    config = {
        "frontend": FRONTEND,
        "token_size": 16,
        "encoder": BLOCKS,
        "duration": {"channels": 16},
        "unet": {"channels": [16, 24], "head_size": 8, "middle_blocks": 1},
        "steps": 3,
    }
    seconds = (0.4, 0.253, 0.17, 0.08)

    def outputs(self, model: Any, batch: Any) -> list[Any]:
        said = model.speak(batch["text"], batch["text_lengths"])
        return [
            {"mel": mel[:frames], "durations": durations[:tokens]}
            for mel, frames, durations, tokens in zip(
                said.mel, said.lengths.tolist(), said.durations, batch["text_lengths"].tolist(), strict=True
            )
        ]
