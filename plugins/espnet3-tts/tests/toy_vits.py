"""A VITS small enough for a test, by its options and built without a catalog."""

from __future__ import annotations

from typing import Any

import torch
from espnet3_tts.encoders.config import WindowedTransformerConfig
from espnet3_tts.encoders.windowed import WindowedTransformer
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.models.hifigan.config import DiscriminatorsConfig, GeneratorConfig
from espnet3_tts.models.vits.config import DurationConfig, VitsConfig, WaveNetConfig
from espnet3_tts.models.vits.model import Vits
from toy_voice import RATE, Built

FEATURES = {"n_fft": 256, "window": 256, "hop": 64, "n_mels": 20, "fmax": None}
ENCODER = {"output_size": 16, "linear_units": 24, "num_blocks": 1, "window": 2, "dropout": 0.0}
GENERATOR = {
    "channels": 16,
    "upsampling": (8, 4, 2),
    "upsampling_kernels": (16, 8, 4),
    "kernels": (3,),
    "dilations": ((1, 3),),
}
DISCRIMINATORS = {"periods": (2, 3), "scales": 1, "divisor": 8}
DURATION = {"channels": 12, "layers": 2, "flows": 2, "dropout": 0.0}
NETWORK = {"channels": 12, "kernel": 3, "layers": 2}
SIZES: dict[str, Any] = {"token_size": 16, "latent": 8, "flows": 2, "segment": 8, "speaker_size": 6}


def as_node() -> dict[str, Any]:
    """The options as a recipe's YAML has them."""
    return {
        "frontend": {"name": "tts/features", **FEATURES},
        "encoder": {"name": "tts/windowed", **ENCODER},
        "posterior": NETWORK,
        "flow": NETWORK,
        "duration": DURATION,
        "generator": {key: _listed(value) for key, value in GENERATOR.items()},
        "discriminators": {key: _listed(value) for key, value in DISCRIMINATORS.items()},
        **SIZES,
    }


def _listed(value: Any) -> Any:
    return [_listed(item) for item in value] if isinstance(value, tuple) else value


def make_vits(
    vocab_size: int, tokenizer: Any = None, duration: dict[str, Any] | None = None, **options: Any
) -> Vits:
    torch.manual_seed(0)
    config = VitsConfig(
        frontend=Built(Features, FeaturesConfig(**FEATURES), "sample_rate"),
        encoder=Built(WindowedTransformer, WindowedTransformerConfig(**ENCODER), "input_size"),
        posterior=WaveNetConfig(**NETWORK),
        flow=WaveNetConfig(**NETWORK),
        duration=DurationConfig(**{**DURATION, **(duration or {})}),
        generator=GeneratorConfig(**GENERATOR),
        discriminators=DiscriminatorsConfig(**DISCRIMINATORS),
        **{**SIZES, **options},
    )
    return Vits(config, vocab_size=vocab_size, sample_rate=RATE, tokenizer=tokenizer)


def shaken(module: Any, scale: float = 0.2, seed: int = 1) -> Any:
    """With random weights throughout, and filters of norm 1.

    Some layers begin at 0, where flows are the identity, and a new decoder hardly hears what it is given.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
            if name.endswith("original0"):
                parameter.fill_(1.0)
    return module
