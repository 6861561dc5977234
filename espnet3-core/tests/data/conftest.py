from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPNET3_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def tone(tmp_path: Path) -> Callable[..., Path]:
    """Writes a sine wave: ``tone("a.wav", seconds=1.0, rate=16000, channels=1, hertz=440)``."""

    def write(
        name: str,
        seconds: float = 1.0,
        rate: int = 16000,
        channels: int = 1,
        hertz: float = 440.0,
        **options: str,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        time = np.arange(round(seconds * rate)) / rate
        samples = np.stack(
            [0.5 * np.sin(2 * np.pi * hertz * (k + 1) * time) for k in range(channels)], axis=1
        )
        soundfile.write(path, samples.astype(np.float32), rate, **options)
        return path

    return write
