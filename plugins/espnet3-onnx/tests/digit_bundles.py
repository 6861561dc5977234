"""Bundles to export: one that has learnt some recordings, and untrained ones of every kind."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from espnet3_asr.system import RECOGNITION
from espnet3_core.bundle.contents import bundle_config, core_versions, providers
from espnet3_core.bundle.export import Export, Graph
from espnet3_core.bundle.manifest import Manifest, version_range
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.sample import Sample
from espnet3_core.config.roles import InferenceConfig, TrainingConfig
from espnet3_core.config.schema import validate
from espnet3_core.data.audio import read_audio

RATE = 8000
SAMPLE = Path(__file__).parents[3] / "recipes/fsdd/asr/sample"
SHERPA = {"name": "speech/kaldi_fbank", "n_mels": 40, "fmax": -400.0, "snip_edges": False, "scale": 1.0}
LOG_MEL = {"name": "speech/log_mel", "n_mels": 40, "dynamic_range_db": 60.0}
TDNN = {"name": "speech/tdnn", "hidden_size": 64, "num_layers": 3, "stack": 4, "dropout": 0.0}
Bundle = Callable[..., Path]


def recordings(count: int) -> dict[Path, str]:
    """Recordings of digits that come with the recipe, and what is said in them."""
    with (SAMPLE / "manifest.tsv").open(encoding="utf-8", newline="") as rows:
        found = {SAMPLE / row["path"]: row["text"] for row in csv.DictReader(rows, delimiter="\t")}
    return dict(list(found.items())[:count])


def learn(model: Any, tokenizer: Any, spoken: Mapping[Path, str], steps: int) -> None:
    """Fit a recogniser to recordings, until it knows them by heart."""
    audio = [torch.from_numpy(read_audio(path, sample_rate=RATE)) for path in spoken]
    texts = [torch.tensor(tokenizer.encode(text)) for text in spoken.values()]
    pad = torch.nn.utils.rnn.pad_sequence
    batch = {
        "speech": pad(audio, batch_first=True),
        "speech_lengths": torch.tensor([len(samples) for samples in audio]),
        "text": pad(texts, batch_first=True, padding_value=-1),
        "text_lengths": torch.tensor([len(ids) for ids in texts]),
    }
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        model(**batch)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()


def make(
    target: Path, *, frontend: Any, encoder: Any, tokenizer: str = "asr/word", steps: int = 0, **model: Any
) -> Path:
    """Pack a recogniser of digits, trained for so many steps."""
    training = validate(
        TrainingConfig,
        {
            "dataset": {"sample_rate": RATE, "train": {"name": "core/manifest", "path": "train.tsv"}},
            "tokenizer": {"name": tokenizer},
            "model": {"name": "asr/ctc", "frontend": frontend, "encoder": encoder, **model},
        },
        "training",
    )
    inference = validate(
        InferenceConfig, {"test_sets": {}, "search": {"name": "asr/ctc_greedy"}}, "inference"
    )
    config = bundle_config(training, inference, target.parent, RECOGNITION.inputs)
    spoken = recordings(4)
    tokens = training.tokenizer.build()
    tokens.train(spoken.values())
    torch.manual_seed(3)
    model_ = training.model.build(sample_rate=RATE, tokenizer=tokens, vocab_size=len(tokens))
    learn(model_, tokens, spoken, steps)
    components = providers(config)
    manifest = Manifest(
        system=RECOGNITION.name,
        title="Digits",
        sample_rate=RATE,
        components=components,
        plugins={part["distribution"]: version_range(part["version"]) for part in components},
        inputs=list(RECOGNITION.inputs),
        outputs=list(RECOGNITION.outputs),
        versions=core_versions(),
    )
    sample = Sample({"speech": read_audio(next(iter(spoken)), sample_rate=RATE)})
    write_bundle(target, manifest, config, model_.eval().state_dict(), tokens, sample)
    return target


class Drifting(torch.nn.Module):
    """Gives another value at every call, hence another than its graph."""

    calls = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return values + self.calls


def drifting(model: Any) -> Export:
    """An export whose graph is made of ``Drifting``."""
    axes: Any = ("batch",)
    graph = Graph(module=Drifting(), inputs={"x": axes}, outputs={"y": axes}, examples=[(torch.zeros(3),)])
    return Export(graphs=(graph,))
