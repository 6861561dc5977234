"""Cutting recordings where they are quietest."""

from __future__ import annotations

import numpy as np
import pytest
from espnet3_core.data.pieces import cut

RATE = 1000


def speech_with_pauses(*pauses: tuple[float, float], seconds: float) -> np.ndarray:
    speech = np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32)
    for start, end in pauses:
        speech[int(start * RATE) : int(end * RATE)] *= 0.001
    return speech


def test_short_recordings_stay_whole() -> None:
    assert cut(np.ones(10 * RATE, np.float32), RATE, 10) == [(0, 10 * RATE)]


def test_cuts_fall_into_pauses() -> None:
    speech = speech_with_pauses((2, 2.6), (8, 8.5), (13.2, 13.9), (15, 15.1), seconds=21)
    pieces = cut(speech, RATE, 10)
    ends = [end / RATE for _, end in pieces[:-1]]
    assert ends == [pytest.approx(8.25, abs=0.12), pytest.approx(13.55, abs=0.21)]


@pytest.mark.parametrize("seconds", [10.001, 10.2, 30.0, 47.3, 100.0])
@pytest.mark.parametrize("silent", [False, True])
def test_pieces_cover_everything_and_obey_the_limit(seconds: float, silent: bool) -> None:
    speech = speech_with_pauses(seconds=seconds) * (not silent)
    pieces = cut(speech, RATE, 10)
    assert pieces[0][0] == 0
    assert pieces[-1][1] == len(speech)
    assert all(a[1] == b[0] for a, b in zip(pieces, pieces[1:], strict=False))
    assert all(0.4 * RATE <= end - start <= 10 * RATE for start, end in pieces)
    assert len(pieces) <= np.ceil(seconds / 5)
