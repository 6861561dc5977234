"""Makes ``version_<schema>`` beside this file: a small bundle that must stay loadable for ever.

Run it once per version of the format, when that is new, and commit what it writes. A bundle of an older
version is never made again: that later code still reads it is what the tests show. ``version_1_first`` was
packed by the code from before version 1 had fields, samples and ranges of versions.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import torch
from espnet3_asr.system import RECOGNITION
from espnet3_core.bundle.contents import bundle_config, core_versions, providers
from espnet3_core.bundle.manifest import SCHEMA, Manifest, version_range
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.sample import Sample
from espnet3_core.config.roles import InferenceConfig, TrainingConfig
from espnet3_core.config.schema import validate

RATE = 8000
TRAINING = {
    "dataset": {"sample_rate": RATE, "train": {"name": "core/manifest", "path": "train.tsv"}},
    "tokenizer": {"name": "asr/char"},
    "model": {
        "name": "asr/ctc",
        "frontend": {"name": "speech/log_mel", "n_mels": 16},
        "specaugment": {"name": "speech/specaugment"},
        "encoder": {
            "name": "speech/transformer",
            "output_size": 16,
            "attention_heads": 2,
            "linear_units": 16,
            "num_blocks": 1,
            "input_layer": "conv1d2",
        },
    },
}


def chirp(seconds: float = 1.0) -> np.ndarray:
    """A tone that rises from 200 Hz to 3 kHz: ``(samples,)``."""
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * (200 + 1400 * time / seconds) * time)).astype(np.float32)


def make(target: Path) -> None:
    """Write the bundle."""
    training = validate(TrainingConfig, TRAINING, "training")
    inference = validate(
        InferenceConfig, {"test_sets": {}, "search": {"name": "asr/ctc_greedy"}}, "inference"
    )
    config = bundle_config(training, inference, target.parent, RECOGNITION.inputs)
    tokenizer = training.tokenizer.build()
    tokenizer.train(["one two three"])
    torch.manual_seed(5)
    model = training.model.build(sample_rate=RATE, tokenizer=tokenizer, vocab_size=len(tokenizer))
    components = providers(config)
    manifest = Manifest(
        system=RECOGNITION.name,
        title="Tiny",
        license="Apache-2.0",
        language=["en"],
        sample_rate=RATE,
        components=components,
        plugins={part["distribution"]: version_range(part["version"]) for part in components},
        inputs=list(RECOGNITION.inputs),
        outputs=list(RECOGNITION.outputs),
        versions=core_versions(),
        training={"parameters": sum(parameter.numel() for parameter in model.parameters())},
        metrics={"wer": {"test": {"wer": 100.0}}},
    )
    write_bundle(target, manifest, config, model.state_dict(), tokenizer, Sample({"speech": chirp()}))


if __name__ == "__main__":
    folder = Path(__file__).parent / f"version_{SCHEMA}"
    shutil.rmtree(folder, ignore_errors=True)
    make(folder)
