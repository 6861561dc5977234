from __future__ import annotations

import numpy as np
import pytest
import torch
from espnet3_core.data.collate import PadCollator
from espnet3_core.data.config import PadConfig
from espnet3_core.errors import UserError


def test_a_batch_of_speech_and_text() -> None:
    items = [
        {"id": "a", "speech": np.array([1, 2, 3], np.float32), "text": np.array([5, 6]), "speaker": "ann"},
        {"id": "b", "speech": np.array([4], np.float32), "text": np.array([], np.int64)},
    ]
    batch = PadCollator()(items)
    assert batch["ids"] == ["a", "b"]
    assert batch["speech"].tolist() == [[1, 2, 3], [4, 0, 0]]
    assert batch["speech"].dtype == torch.float32
    assert batch["speech_lengths"].tolist() == [3, 1]
    assert batch["text"].tolist() == [[5, 6], [-1, -1]]
    assert batch["text_lengths"].tolist() == [2, 0]
    assert batch["text_lengths"].dtype == torch.int64
    assert batch["speaker"] == ["ann", ""]


def test_features_numbers_lists_and_other_things() -> None:
    items = [
        {"id": "a", "f": torch.ones(2, 3), "n": 1, "x": 0.5, "ok": True, "labels": [1, 2], "meta": {"k": 1}},
        {
            "id": "b",
            "f": torch.ones(1, 3, dtype=torch.float64),
            "n": 2,
            "x": 1,
            "ok": False,
            "labels": [3],
            "meta": None,
        },
    ]
    batch = PadCollator(PadConfig(values={"labels": -100}))(items)
    assert batch["f"].shape == (2, 2, 3)
    assert batch["f"].dtype == torch.float32
    assert batch["f"][1, 1].tolist() == [0, 0, 0]
    assert batch["n"].tolist() == [1, 2]
    assert batch["n"].dtype == torch.int64
    assert batch["x"].tolist() == [0.5, 1.0]
    assert batch["ok"].tolist() == [True, False]
    assert batch["labels"].tolist() == [[1, 2], [3, -100]]
    assert batch["meta"] == [{"k": 1}, None]


def test_items_are_not_shared_with_the_batch() -> None:
    speech = np.ones(3, np.float32)
    PadCollator()([{"id": "a", "speech": speech}])["speech"].zero_()
    assert speech.tolist() == [1, 1, 1]


def test_views_and_read_only_arrays_are_taken() -> None:
    speech = np.arange(6, dtype=np.float32)
    speech.flags.writeable = False
    batch = PadCollator()([{"id": "a", "speech": speech[::-1]}, {"id": "b", "speech": speech[::2]}])
    assert batch["speech"].tolist() == [[5, 4, 3, 2, 1, 0], [0, 2, 4, 0, 0, 0]]


def test_items_that_do_not_fit_together_are_named() -> None:
    with pytest.raises(UserError, match="utterance 'b' has no field 'speech'"):
        PadCollator()([{"id": "a", "speech": np.ones(3)}, {"id": "b"}])
    with pytest.raises(UserError, match=r"utterance 'b': field 'f' has shape \(1, 4\)"):
        PadCollator()([{"id": "a", "f": np.ones((2, 3))}, {"id": "b", "f": np.ones((1, 4))}])
    with pytest.raises(UserError, match="utterance 'b': field 'f' is not an array"):
        PadCollator()([{"id": "a", "f": np.ones(3)}, {"id": "b", "f": "text"}])
