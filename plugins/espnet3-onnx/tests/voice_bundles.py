"""Bundles of synthesis with weights of chance: an acoustic model of two speakers, and a vocoder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from espnet3_core.bundle.contents import bundle_config, core_versions, providers
from espnet3_core.bundle.manifest import Manifest, version_range
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.sample import Sample
from espnet3_core.config.roles import InferenceConfig, TrainingConfig
from espnet3_core.config.schema import validate
from espnet3_tts.system import SYNTHESIS

RATE = 8000
BANDS = 40
SPEAKERS = ["anna", "bert"]
_FRONTEND = {"name": "tts/features", "n_fft": 512, "window": 512, "hop": 128, "n_mels": BANDS, "fmax": None}
_BLOCKS = {"name": "tts/fft", "output_size": 16, "linear_units": 24, "num_blocks": 1, "kernels": [3, 1]}
ACOUSTIC = {
    "name": "tts/fastspeech2",
    "frontend": _FRONTEND,
    "token_size": 16,
    "encoder": _BLOCKS,
    "decoder": _BLOCKS,
    "predictor": {"channels": 16},
    "speakers": SPEAKERS,
    "statistics": "speaker",
}
VOCODER = {
    "name": "tts/hifigan",
    "frontend": _FRONTEND,
    "generator": {
        "channels": 16,
        "upsampling": [8, 4, 4],
        "upsampling_kernels": [16, 8, 8],
        "kernels": [3],
        "dilations": [[1, 3]],
    },
    "discriminators": {"periods": [2], "scales": 1, "divisor": 8},
}


def make(target: Path, model: dict[str, Any]) -> Path:
    """Pack a model of synthesis as it is when training begins."""
    acoustic = model["name"] == "tts/fastspeech2"
    training = validate(
        TrainingConfig,
        {
            "dataset": {"sample_rate": RATE, "train": {"name": "core/manifest", "path": "train.tsv"}},
            **({"tokenizer": {"name": "tts/characters"}} if acoustic else {}),
            "model": model,
        },
        "training",
    )
    search = {"name": "tts/synthesizer", "vocoder": {"name": "tts/griffin_lim", "iterations": 2}}
    inference = validate(
        InferenceConfig, {"test_sets": {}, **({"search": search} if acoustic else {})}, "inference"
    )
    config = bundle_config(training, inference, target.parent, SYNTHESIS.inputs)
    tokens = training.tokenizer.build() if acoustic else None
    needs = {"tokenizer": tokens, "vocab_size": len(tokens), "stats": _stats()} if tokens else {}
    torch.manual_seed(3)
    built = training.model.build(sample_rate=RATE, **needs)
    if acoustic:
        torch.nn.init.constant_(built.duration.out.bias, 1.5)  # as if a token lasted a few frames
    else:
        for part in built.generator.modules():  # as it begins, it says next to nothing
            if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
                part.weight = torch.nn.init.xavier_uniform_(torch.empty_like(part.weight))
    components = providers(config)
    manifest = Manifest(
        system=SYNTHESIS.name,
        title="Voice",
        sample_rate=RATE,
        components=components,
        plugins={part["distribution"]: version_range(part["version"]) for part in components},
        inputs=list(SYNTHESIS.inputs),
        outputs=list(SYNTHESIS.outputs),
        versions=core_versions(),
    )
    sample = Sample({"text": "hello you", "speaker": SPEAKERS[1]}) if acoustic else None
    write_bundle(target, manifest, config, built.eval().state_dict(), tokens, sample)
    return target


def _stats() -> dict[str, Any]:
    sizes = {"mel": BANDS, **{f"{name}/{who}": 1 for name in ("pitch", "energy") for who in SPEAKERS}}
    return {
        name: SimpleNamespace(count=9, mean=np.full(size, -1.0), std=np.full(size, 2.0))
        for name, size in sizes.items()
    }
