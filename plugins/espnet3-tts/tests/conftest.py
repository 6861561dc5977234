"""A small FastSpeech 2 and a text frontend, built without the catalog."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from espnet3_tts.encoders.config import FeedForwardTransformerConfig
from espnet3_tts.encoders.fft import FeedForwardTransformer
from espnet3_tts.features.config import FeaturesConfig
from espnet3_tts.features.features import Features
from espnet3_tts.models.fastspeech2.config import AlignerConfig, FastSpeech2Config
from espnet3_tts.models.fastspeech2.model import FastSpeech2
from espnet3_tts.models.predictor_config import PredictorConfig
from espnet3_tts.text.characters import Characters
from espnet3_tts.text.config import CharactersConfig
from espnet3_tts.vocoders.config import GriffinLimConfig
from espnet3_tts.vocoders.griffin_lim import GriffinLim

sys.path.insert(0, str(Path(__file__).parent))

from toy_voice import RATE, Built, tone  # noqa: E402


def fft(**options: Any) -> Built:
    sizes = {"output_size": 16, "linear_units": 24, "num_blocks": 1, "kernels": (3, 1), "dropout": 0.0}
    return Built(FeedForwardTransformer, FeedForwardTransformerConfig(**{**sizes, **options}), "input_size")


@pytest.fixture
def frontend() -> Characters:
    return Characters(CharactersConfig())


@pytest.fixture
def make_model(frontend: Characters) -> Callable[..., FastSpeech2]:
    def make(stats: Any = None, aligner: dict[str, Any] | None = None, **options: Any) -> FastSpeech2:
        torch.manual_seed(0)
        features = FeaturesConfig(n_fft=256, window=256, hop=64, n_mels=20, fmax=None)
        config = FastSpeech2Config(
            frontend=Built(Features, features, "sample_rate"),
            token_size=16,
            encoder=fft(),
            decoder=fft(),
            aligner=AlignerConfig(size=8, temperature=0.1, **(aligner or {})),
            predictor=PredictorConfig(channels=16, dropout=0.0),
            **options,
        )
        return FastSpeech2(
            config, vocab_size=len(frontend), sample_rate=RATE, stats=stats, tokenizer=frontend
        )

    return make


@pytest.fixture
def griffin_lim() -> Built:
    return Built(GriffinLim, GriffinLimConfig(iterations=4), "features", "seed")


@pytest.fixture
def make_batch(frontend: Characters) -> Callable[..., dict[str, Any]]:
    """Harmonic tones of random pitch as speech, with texts."""

    def make(texts: list[str], seconds: list[float], seed: int = 0) -> dict[str, Any]:
        rng = np.random.default_rng(seed)
        rows = [tone(rng.uniform(100, 300), count, rng) for count in seconds]
        ids = [torch.tensor(frontend.encode(text)) for text in texts]
        pad = torch.nn.utils.rnn.pad_sequence
        return {
            "ids": [f"u{row}" for row in range(len(texts))],
            "speech": pad(rows, batch_first=True),
            "speech_lengths": torch.tensor([len(row) for row in rows]),
            "text": pad(ids, batch_first=True, padding_value=-1),
            "text_lengths": torch.tensor([len(row) for row in ids]),
        }

    return make
