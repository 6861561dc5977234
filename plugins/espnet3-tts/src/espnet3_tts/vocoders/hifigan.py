"""HiFi-GAN as a vocoder: a trained generator."""

from __future__ import annotations

from pathlib import Path

import torch
from espnet3_core.errors import UserError
from torch import Tensor, nn

from espnet3_tts.features.config import SPECTRAL
from espnet3_tts.features.features import Features
from espnet3_tts.models.hifigan.generator import Generator
from espnet3_tts.models.hifigan.interop import load_published
from espnet3_tts.models.hifigan.model import HifiGan
from espnet3_tts.vocoders.config import HifiGanVocoderConfig


class HifiGanVocoder(nn.Module):
    """Speaks with a generator from a bundle of ``tts/hifigan``, or from published weights.

    Args:
        config: Where the generator is.
        features: What the spectrograms to speak are made with.
        recipe_dir: Folder that paths are relative to.

    Raises:
        UserError: The generator cannot be loaded, or speaks other spectrograms; what differs is named.
    """

    def __init__(
        self, config: HifiGanVocoderConfig, *, features: Features, recipe_dir: Path | None = None
    ) -> None:
        super().__init__()
        folder = Path() if recipe_dir is None else Path(recipe_dir)
        if config.bundle is not None:
            self.generator = _from_bundle(folder / Path(config.bundle).expanduser(), features)
        else:
            if config.weights is None:
                raise UserError(
                    "vocoder tts/hifigan: there is nothing to speak with",
                    hint="set its bundle (a packed tts/hifigan), or weights (a published generator)",
                )
            self.generator = Generator(config.generator, n_mels=features.output_size)
            load_published(self.generator, folder / Path(config.weights).expanduser())
        if self.generator.config.hop != features.hop:
            raise UserError(
                f"vocoder tts/hifigan makes {self.generator.config.hop} samples of a frame, and the model's "
                f"hop is {features.hop}",
                hint="choose a vocoder that was trained with this `hop`, or tts/griffin_lim",
            )
        self.generator.plain()

    @torch.inference_mode()
    def forward(self, mel: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, frames, n_mels)`` log-mel and ``(batch,)`` lengths to ``(batch, samples)``."""
        return self.generator.each(mel, lengths)


def _from_bundle(path: Path, features: Features) -> Generator:
    from espnet3_core.bundle.load import load

    model = load(path, device="cpu").model
    if not isinstance(model, HifiGan):
        raise UserError(f"{path}: is not a bundle of tts/hifigan", hint="give a vocoder's bundle")
    check_equal(model.features, features, str(path))
    return model.generator


def check_equal(vocoder: Features, model: Features, name: str) -> None:
    """Refuse a vocoder that speaks other spectrograms than a model predicts.

    Raises:
        UserError: Parameters differ; all are named.
    """
    pairs = {key: (getattr(vocoder.config, key), getattr(model.config, key)) for key in SPECTRAL}
    pairs |= {"fmax": (vocoder.fmax, model.fmax), "sample_rate": (vocoder.sample_rate, model.sample_rate)}
    differing = [f"{key} {theirs} and {ours}" for key, (theirs, ours) in pairs.items() if theirs != ours]
    if differing:
        raise UserError(
            f"{name}: the vocoder speaks other spectrograms than the model makes: {'; '.join(differing)}",
            hint="train the vocoder with the model's frontend, or choose another one",
        )
