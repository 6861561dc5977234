from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from espnet3_asr.data_checks import check_lengths, encoder_frames
from espnet3_core.data.checking.findings import CheckedItem

RATE = 8000


def test_frames_are_those_that_the_model_gives(make_ctc: Any) -> None:
    model = make_ctc()
    samples = [100, 300, 1000, 4001, 8000]
    speech = torch.randn(len(samples), max(samples))
    lengths = model.encode(speech, torch.tensor(samples)).lengths
    assert encoder_frames(model.config, RATE, samples) == lengths.tolist()


@pytest.mark.parametrize(("text", "found"), [("abcd", 0), ("abcdefgh" * 8, 1), ("a" * 26, 1), ("ab" * 13, 0)])
def test_what_is_reported_is_what_the_loss_calls_impossible(
    make_ctc: Any, letters: Any, text: str, found: int
) -> None:
    model, samples = make_ctc(), 8000
    speech, tokens = torch.randn(1, samples), torch.tensor([letters.encode(text)])
    out = model(speech, torch.tensor([samples]), tokens, torch.tensor([len(text)]))
    assert int(out["ctc_impossible"]) == found
    training = SimpleNamespace(model=SimpleNamespace(name="asr/ctc", config=model.config))
    context = SimpleNamespace(config=lambda role: training, sample_rate=RATE)
    item = CheckedItem("u1", "m.tsv:2", "u1.wav", {"text": text}, samples)
    for role, count in (("train", found), ("valid", found), ("test", 0)):
        split = SimpleNamespace(name=role, role=role, items=[item])
        findings = list(check_lengths(context, split, letters))
        assert [(entry.kind, entry.id, entry.place) for entry in findings] == [
            ("too long for CTC", "u1", "m.tsv:2")
        ] * count
