"""Copy synthesis: recordings to spectrograms, and back."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio

from espnet3_tts.synthesis.config import CopySynthesisConfig


class CopySynthesis:
    """Says what was recorded: nothing is predicted but the waveform.

    Args:
        config: Options.
        model: A model with ``features`` and ``sample_rate``.
        device: Where to compute; None for where the model is.
        recipe_dir: Folder that the vocoder's path is relative to.
    """

    def __init__(
        self, config: CopySynthesisConfig, *, model: Any, device: Any = None, recipe_dir: Path | None = None
    ) -> None:
        self.model = model.eval()
        self.vocoder = config.vocoder.build(
            features=model.features,
            sample_rate=model.sample_rate,
            input_size=model.features.output_size,
            seed=config.seed,
            recipe_dir=recipe_dir,
        )
        self.vocoder.eval().to(next(model.parameters()).device if device is None else device)

    @torch.inference_mode()
    def infer(self, batch: Mapping[str, Any]) -> list[dict[str, Any]]:
        """``audio`` of each recording, and ``rtf`` of the batch.

        Raises:
            UserError: There are no recordings.
        """
        if "speech" not in batch:
            raise UserError("there are no recordings to copy", hint="give a test set with audio")
        began = time.perf_counter()
        found = self.model.features(batch["speech"], batch["speech_lengths"], pitch=False)
        audio = self.vocoder(found.mel, found.lengths).float().cpu().numpy()
        samples = [int(frames) * self.model.features.hop for frames in found.lengths]
        rate = self.model.sample_rate
        rtf = (time.perf_counter() - began) * rate / max(sum(samples), 1)
        return [
            {"audio": Audio(row[:count], rate), "rtf": rtf} for row, count in zip(audio, samples, strict=True)
        ]
