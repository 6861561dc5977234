from __future__ import annotations

from types import SimpleNamespace

import pytest
from espnet3_core.data.checking.findings import CheckedItem
from espnet3_core.errors import UserError
from espnet3_tts.data_checks import check_texts


@pytest.mark.parametrize("tokens", [11, 12, 13])
def test_what_is_reported_is_what_training_refuses(make_model, make_batch, frontend, tokens):
    text, samples = "a" * (tokens - 2), 12 * 64
    model = make_model()
    batch = make_batch([text], [samples / 8000])
    model.config.frontend.config = model.features.config
    training = SimpleNamespace(model=SimpleNamespace(name="tts/fastspeech2", config=model.config))
    context = SimpleNamespace(config=lambda role: training)
    item = CheckedItem("u0", "m.tsv:2", "u0.wav", {"text": text}, samples)
    split = SimpleNamespace(name="train", role="train", items=[item])
    found = list(check_texts(context, split, frontend))
    if tokens <= 12:
        assert found == []
        model(**batch)
        return
    assert [(entry.kind, entry.place) for entry in found] == [("too short for its text", "m.tsv:2")]
    assert found[0].reason == "its text has 13 tokens, and its audio 12 frames"
    with pytest.raises(UserError, match="12 frames of audio for 13 tokens"):
        model(**batch)
    split.role = "test"
    assert list(check_texts(context, split, frontend)) == []


def test_texts_that_cannot_be_spoken_are_reported(make_model, frontend):
    model = make_model()
    training = SimpleNamespace(model=SimpleNamespace(name="tts/fastspeech2", config=model.config))
    context = SimpleNamespace(config=lambda role: training)
    items = [
        CheckedItem(f"u{n}", f"m.tsv:{n}", "u.wav", {"text": text}, 8000) for n, text in enumerate(["☃", ""])
    ]
    found = list(check_texts(context, SimpleNamespace(name="test", role="test", items=items), frontend))
    assert [entry.kind for entry in found] == ["unspeakable text"] * 2
    assert "SNOWMAN" in found[0].reason
    assert "nothing to say" in found[1].reason
