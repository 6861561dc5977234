"""How a bundle is called."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from espnet3_core.fields import FieldDeclaration
from espnet3_serve.contract import compute, gives, input_named

AUDIO, TEXT, SPEED = (
    FieldDeclaration("speech", "audio"),
    FieldDeclaration("text", "text"),
    FieldDeclaration("speed", "number", optional=True),
)


class Recorded:
    """Answers with the inputs, and keeps the sizes of its batches."""

    sample_rate = 8000

    def __init__(self, *inputs):
        self.inputs, self.calls = inputs, []

    def batch(self, values, *, sample_rate, channels, **others):
        self.calls.append(sorted(len(value) for value in values))
        return [(len(value), *(column[n] for column in others.values())) for n, value in enumerate(values)]


@pytest.mark.parametrize(
    ("lengths", "calls"),
    [
        ([7], [[7]]),
        ([9, 1, 5], [[1, 5, 9]]),
        ([8, 1, 7, 2, 6, 3, 5, 4], [[1, 2, 3, 4], [5, 6, 7, 8]]),
        ([100, 101, 102, 103, 104, 105, 106, 107], [[100, 101, 102, 103, 104, 105, 106, 107]]),
    ],
)
def test_long_and_short_ones_are_computed_apart_and_come_in_order(lengths, calls):
    model = Recorded(AUDIO)
    found = compute(model, [{"speech": np.zeros(length, np.float32)} for length in lengths])
    assert found == [(length,) for length in lengths]
    assert model.calls == calls


def test_further_inputs_stay_with_their_utterance():
    model = Recorded(TEXT, SPEED)
    texts = ["a" * n for n in (8, 1, 7, 2, 6, 3, 5, 4)]
    found = compute(model, [{"text": text, "speed": float(len(text))} for text in texts])
    assert found == [(len(text), float(len(text))) for text in texts]
    assert input_named(model, "rate", "speed") == "speed"
    assert input_named(model, "speaker") is None


@pytest.mark.parametrize(
    ("inputs", "outputs", "text", "audio"),
    [
        ([AUDIO], [TEXT], True, False),
        ([AUDIO], [], True, False),
        ([TEXT], [AUDIO], False, True),
        ([AUDIO], [AUDIO], False, False),
        ([TEXT], [TEXT], False, False),
        ([AUDIO], [FieldDeclaration("who", "label")], False, False),
    ],
)
def test_what_a_model_serves_for(inputs, outputs, text, audio):
    model = SimpleNamespace(inputs=inputs, outputs=outputs)
    assert (gives(model, "text"), gives(model, "audio")) == (text, audio)
