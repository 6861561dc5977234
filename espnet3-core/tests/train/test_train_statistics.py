import json
from pathlib import Path

import numpy as np
import pytest
import torch
from espnet3_core.component import Component
from espnet3_core.config.roles import BatchConfig, DatasetsConfig
from espnet3_core.data.config import PadConfig
from espnet3_core.errors import UserError
from espnet3_core.train.moments import Moments
from espnet3_core.train.statistics import (
    collect_stats,
    load_statistics,
    require_statistics,
    statistics_folder,
)
from torch import nn
from toy_training import ToyContext, toy_config


class Speech:
    """Utterances of different lengths; says where it has been read."""

    def __init__(self, count=9, offset=0.0):
        rng = np.random.default_rng(0)
        sizes = rng.integers(800, 4000, count)
        self.audio = [(offset + rng.standard_normal(size)).astype(np.float32) for size in sizes]
        self.offset = offset

    def __len__(self):
        return len(self.audio)

    def ids(self):
        return [f"u{index}" for index in range(len(self))]

    def lengths(self):
        return [len(samples) / 8000 for samples in self.audio]

    def fingerprint(self):
        return f"speech {self.offset}"

    def __getitem__(self, index):
        return {"id": f"u{index}", "speech": self.audio[index]}


class Framed(nn.Module):
    statistics_of = ("frames",)

    def collect_feats(self, speech, speech_lengths):
        return {"frames": speech.unfold(1, 160, 160), "frames_lengths": speech_lengths // 160}


class Context(ToyContext):
    """Builds the dataset, collator and model of these tests."""

    dataset = Speech()
    model: nn.Module = Framed()

    def build_dataset(self, component):
        return self.dataset

    def build_tokenizer(self):
        return None

    def build_model(self, stats=None, tokenizer=None):
        return self.model

    @property
    def recipe(self):
        raise AssertionError


class Loud:
    def __call__(self, item, rng):
        raise AssertionError("statistics are taken without augmentation")


def context_for(directory: Path, **dataset) -> Context:
    config = toy_config(
        batch=BatchConfig(seconds=1.0),
        collator=Component(target="espnet3_core.data.collate.PadCollator"),
    )
    config.dataset = DatasetsConfig(
        train=Component(target="test.Speech"),
        sample_rate=8000,
        transforms=[Component(target=f"{__name__}.Loud")],
        **dataset,
    )
    return Context(directory, config)


def test_moments_in_parts_are_numpys():
    rng = np.random.default_rng(1)
    frames = 1e4 + rng.standard_normal((1000, 3)) * [1e-2, 1, 100]
    moments = Moments()
    for part in np.split(frames, [1, 5, 5, 400]):
        moments.add(part)
    found = moments.result()
    assert found.count == 1000
    np.testing.assert_allclose(found.mean, frames.mean(0), rtol=1e-13)
    np.testing.assert_allclose(found.std, frames.std(0), rtol=1e-9)


def test_statistics_leave_out_padding_and_are_reused(tmp_path, monkeypatch):
    context = context_for(tmp_path)
    collect_stats(context)
    frames = np.concatenate(
        [samples[: len(samples) // 160 * 160].reshape(-1, 160) for samples in Context.dataset.audio]
    ).astype(np.float64)
    found = load_statistics(context)["frames"]
    assert found.count == len(frames)
    assert found.mean.dtype == np.float64
    np.testing.assert_allclose(found.mean, frames.mean(0), atol=1e-12)
    np.testing.assert_allclose(found.std, frames.std(0), atol=1e-12)
    summary = json.loads((statistics_folder(context) / "summary.json").read_text())
    lengths = Context.dataset.lengths()
    assert summary["train"]["utterances"] == 9
    assert summary["train"]["hours"] == pytest.approx(sum(lengths) / 3600)
    assert summary["train"]["seconds"]["50"] == pytest.approx(np.median(lengths), abs=1e-4)
    monkeypatch.setattr(Context, "build_model", None)
    collect_stats(context)  # does not touch the model


class Damaged(Speech):
    def __getitem__(self, index):
        if index in (2, 5):
            raise OSError("cut off")
        return super().__getitem__(index)


def test_utterances_that_cannot_be_read_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Context, "dataset", Damaged())
    with pytest.raises(OSError, match="cut off"):
        collect_stats(context_for(tmp_path))
    context = context_for(tmp_path, on_error="skip", max_errors=2)
    collect_stats(context)
    kept = [samples for index, samples in enumerate(Context.dataset.audio) if index not in (2, 5)]
    frames = sum(len(samples) // 160 for samples in kept)
    assert load_statistics(context)["frames"].count == frames
    summary = json.loads((statistics_folder(context) / "summary.json").read_text())
    assert {entry["id"] for entry in summary["train"]["failed"]} == {"u2", "u5"}
    assert all("OSError: cut off" in entry["error"] for entry in summary["train"]["failed"])
    with pytest.raises(UserError, match="2 of 9 utterances cannot be used, and 1 are allowed"):
        collect_stats(context_for(tmp_path / "other", on_error="skip", max_errors=1))


def test_other_data_or_another_front_end_have_other_statistics(tmp_path, monkeypatch):
    folders = {
        statistics_folder(context_for(tmp_path)),
        statistics_folder(context_for(tmp_path, max_seconds=0.4)),
    }
    monkeypatch.setattr(Context, "dataset", Speech(offset=1.0))
    folders.add(statistics_folder(context_for(tmp_path)))
    other = context_for(tmp_path)
    other.training.model = Component(target="src.Model", options={"frontend": {"mels": 40}, "layers": 3})
    folders.add(statistics_folder(other))
    assert len(folders) == 4
    other.training.model = Component(target="src.Model", options={"frontend": {"mels": 40}, "layers": 12})
    assert statistics_folder(other) in folders


def test_missing_statistics_stop_training():
    with pytest.raises(UserError, match=r"normalises 'frames'.*\n.*collect_stats"):
        require_statistics(Framed(), None)
    require_statistics(nn.Linear(1, 1), None)


def test_a_model_that_does_not_return_what_it_names(tmp_path, monkeypatch):
    class Wrong(Framed):
        statistics_of = ("mels",)

    monkeypatch.setattr(Context, "model", Wrong())
    with pytest.raises(UserError, match=r"returns 'frames', 'frames_lengths', and .* names 'mels'"):
        collect_stats(context_for(tmp_path))


def test_padding_value_does_not_matter(tmp_path):
    context = context_for(tmp_path)
    context.training.collator = Component(
        target="espnet3_core.data.collate.PadCollator", options={"config": PadConfig(values={"speech": 7.0})}
    )
    collect_stats(context)
    assert torch.tensor(load_statistics(context)["frames"].mean).abs().max() < 1
