"""Metrics with a judge: by stand-ins where the judge is a large model, and by its absence."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import jiwer
import numpy as np
import pytest
from espnet3_core.errors import UserError
from espnet3_core.infer.audio import Audio
from espnet3_tts.metrics import judges
from espnet3_tts.metrics.config import DnsmosConfig, IntelligibilityConfig, SpeakerSimilarityConfig
from espnet3_tts.metrics.judged import (
    CharacterErrorRate,
    Dnsmos,
    SpeakerSimilarity,
    WordErrorRate,
    edits,
)

AUDIO = Audio(np.full(800, 0.1, np.float32), 8000)


def test_edits_are_jiwers():
    rng = np.random.default_rng(0)
    for _ in range(50):
        first, second = (list(map(str, rng.integers(0, 4, rng.integers(1, 9)))) for _ in range(2))
        found = jiwer.process_words(" ".join(first), " ".join(second))
        assert edits(first, second) == found.substitutions + found.deletions + found.insertions
    assert edits([], ["a"]) == 1


@pytest.fixture
def whisper(monkeypatch):
    """A recogniser that hears what the test says, at the rate that it takes."""
    heard: list[str] = []

    class WhisperModel:
        def __init__(self, name, **options):
            assert name == "tiny.en"

        def transcribe(self, samples, language, beam_size):
            assert len(samples) == 1600
            return [SimpleNamespace(text=f" {part}") for part in heard.pop(0).split("|")], None

    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))
    monkeypatch.setattr(judges, "find_spec", lambda name: object())
    return heard


def test_error_rates_of_what_is_understood(whisper):
    whisper += ["She paid $3.|Well", "a cat", "She paid three dollars. Well!", "a cat"]
    texts = ["She paid three dollars, well?", "the cat"]
    words, characters = WordErrorRate(IntelligibilityConfig()), CharacterErrorRate(IntelligibilityConfig())
    for metric in (words, characters):
        metric.update(["a", "b"], text=texts, audio=[AUDIO, AUDIO])
    assert words.compute()["wer"] == pytest.approx(100 * 1 / 7)
    assert words.per_utterance()[0]["hypothesis"] == "she paid three dollars well"
    assert characters.compute()["cer"] == pytest.approx(100 * 3 / (27 + 7))
    assert words.provenance()["judge"] == "whisper tiny.en"


@pytest.mark.parametrize(
    ("metric", "config", "install"),
    [
        (WordErrorRate, IntelligibilityConfig, "pip install faster-whisper"),
        (SpeakerSimilarity, SpeakerSimilarityConfig, "pip install resemblyzer"),
        (Dnsmos, DnsmosConfig, "pip install speechmos"),
    ],
)
def test_an_absent_judge_is_skipped_or_an_error(metric, config, install, monkeypatch):
    monkeypatch.setattr(judges, "find_spec", lambda name: None)
    skipped = metric(config())
    skipped.update(["a"], text=["x"], reference=[AUDIO.samples], audio=[AUDIO])
    assert skipped.compute() == {metric.key: None, "skipped": install}
    assert skipped.ratio() is None
    with pytest.raises(UserError, match=f"tts/{metric.key}: its judge is not installed") as caught:
        metric(config(if_absent="error"))
    assert caught.value.hint == install


def test_similarity_is_the_cosine(monkeypatch):
    vectors = iter([np.array([3.0, 4.0]), np.array([4.0, 3.0])])
    monkeypatch.setattr(judges, "speaker_encoder", lambda: lambda audio: next(vectors))
    metric = SpeakerSimilarity(SpeakerSimilarityConfig(), sample_rate=8000)
    metric.update(["a"], reference=[AUDIO.samples], audio=[AUDIO])
    assert metric.compute()["speaker_similarity"] == pytest.approx(24 / 25)
