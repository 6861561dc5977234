"""What tests of synthesis share: a voice of harmonics, small features, components without a catalog."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features

RATE = 8000


class Built:
    """Stands for a component: builds ``target(config, **needs)`` without a catalog."""

    def __init__(self, target: Callable[..., Any], config: Any, *names: str) -> None:
        self.target, self.config, self.names = target, config, names

    def build(self, **needs: Any) -> Any:
        return self.target(self.config, **{name: needs[name] for name in self.names})


def small_features() -> Features:
    config = FeaturesConfig(n_fft=256, window=256, hop=64, n_mels=20, fmax=None)
    return Features(config, sample_rate=RATE)


def tone(hertz: float, seconds: float, rng: np.random.Generator) -> torch.Tensor:
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 6))
    loudness = 0.2 + 0.1 * np.sin(2 * np.pi * 3 * time)
    return torch.from_numpy((loudness * wave + 0.003 * rng.standard_normal(len(time))).astype(np.float32))
