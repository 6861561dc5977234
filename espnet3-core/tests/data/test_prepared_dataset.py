from __future__ import annotations

import logging
import pickle
from typing import Any

import numpy as np
import pytest
from espnet3_core.data.augment import Gain
from espnet3_core.data.config import GainConfig, TextCaseConfig
from espnet3_core.data.dataset import Key, PreparedDataset, ids_of, lengths_of, measure_lengths
from espnet3_core.data.text import TextCase
from espnet3_core.errors import CheckFailed, UserError


class Letters:
    """A tokenizer whose ids are code points."""

    def encode(self, text: str) -> list[int]:
        return [ord(letter) for letter in text]


class Tiny:
    """A dataset as users write it, with the optional methods."""

    def __init__(self, count: int = 3) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"id": f"u{index}", "speech": np.ones(4, np.float32), "text": "AB"}

    def ids(self) -> list[str]:
        return [f"u{index}" for index in range(self.count)]

    def source(self, index: int) -> str:
        return f"list.tsv:{index + 2}"


class Plain:
    """A Hugging Face style dataset: no ids, audio in a dict."""

    def __init__(self, rate: int = 16000) -> None:
        self.rate = rate

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"audio": {"array": np.zeros(800 * (index + 1)), "sampling_rate": self.rate}, "text": "x"}


def test_preprocessing_then_tokens() -> None:
    data = PreparedDataset(Tiny(), preprocess=[TextCase(TextCaseConfig())], tokenizer=Letters())
    item = data[1]
    assert item["text"].tolist() == [97, 98]
    assert item["text"].dtype == np.int64
    assert data.describe(1) == {"id": "u1", "text": "ab"}


def test_augmentation_depends_on_seed_epoch_utterance_and_copy_only() -> None:
    def data(seed: int = 0, training: bool = True) -> PreparedDataset:
        return PreparedDataset(Tiny(), transforms=[Gain(GainConfig())], seed=seed, training=training)

    def level(prepared: PreparedDataset, *key: int) -> float:
        return float(prepared[Key(*key)]["speech"][0])

    one = data()
    assert level(one, 3, 1) == level(pickle.loads(pickle.dumps(data())), 3, 1)
    variants = {
        level(one, 3, 1),
        level(one, 4, 1),
        level(one, 3, 2),
        level(one, 3, 1, 1),
        level(data(5), 3, 1),
    }
    assert len(variants) == 5
    assert level(data(training=False), 3, 1) == 1.0


def test_items_without_ids_are_numbered_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert ids_of(Plain()) == ["000000", "000001"]
    assert "Plain has no ids()" in caplog.text
    assert PreparedDataset(Plain())[1]["id"] == "000001"


def test_hugging_face_audio_becomes_speech_of_the_wanted_rate() -> None:
    item = PreparedDataset(Plain(), sample_rate=16000)[1]
    assert item["speech"].shape == (1600,)
    assert item["speech"].dtype == np.float32
    assert "audio" not in item
    with pytest.raises(UserError, match="utterance '000000': its audio is sampled at 8000 Hz.*16000"):
        PreparedDataset(Plain(8000), sample_rate=16000)[0]
    assert PreparedDataset(Plain(8000), sample_rate=16000, resample="soxr")[0]["speech"].shape == (1600,)


def test_a_hugging_face_dataset_itself() -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_dict({"id": ["a", "b"], "duration": [1.0, 2.5], "text": ["x", "y"]})
    assert ids_of(data) == ["a", "b"]
    assert lengths_of(data).tolist() == [1.0, 2.5]
    assert PreparedDataset(data, tokenizer=Letters())[1]["text"].tolist() == [121]
    assert PreparedDataset(data).epoch_indices(0, 0) is None


def test_lengths_are_asked_or_measured() -> None:
    assert lengths_of(Plain()) is None
    np.testing.assert_allclose(measure_lengths(Plain(8000), 16000), [0.1, 0.2])

    class Wrong(Tiny):
        def lengths(self) -> list[float]:
            return [1.0]

    with pytest.raises(UserError, match="lengths"):
        lengths_of(Wrong())


def test_training_items_need_a_text_others_do_not() -> None:
    class Silent(Tiny):
        def __getitem__(self, index: int) -> dict[str, Any]:
            return {"id": f"u{index}", "speech": np.ones(4, np.float32)}

    assert "text" not in PreparedDataset(Silent(), tokenizer=Letters())[0]
    with pytest.raises(UserError, match="list.tsv:2: utterance 'u0': it has no field 'text'"):
        PreparedDataset(Silent(), tokenizer=Letters(), training=True)[0]


def test_duplicate_ids_are_listed() -> None:
    class Doubled(Tiny):
        def ids(self) -> list[str]:
            return ["a", "b", "a"]

    with pytest.raises(CheckFailed, match="items 0 and 2 of Doubled have the same id 'a'"):
        ids_of(Doubled())


def test_errors_name_utterance_and_place() -> None:
    def refuse(item: dict[str, Any], rng: Any) -> dict[str, Any]:
        raise UserError("no good", hint="mend it")

    def crash(item: dict[str, Any], rng: Any) -> dict[str, Any]:
        raise ZeroDivisionError

    with pytest.raises(UserError) as caught:
        PreparedDataset(Tiny(), preprocess=[refuse])[2]
    assert str(caught.value) == "list.tsv:4: utterance 'u2': no good\n  -> mend it"
    with pytest.raises(ZeroDivisionError) as crashed:
        PreparedDataset(Tiny(), preprocess=[crash])[2]
    assert crashed.value.__notes__ == ["utterance 'u2', listed at list.tsv:4"]
