"""Scores that somebody else's model gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from espnet3_core.infer.audio import Audio
from espnet3_core.measure.metric import Ratio
from espnet3_core.measure.normalizers import TextNormalizer

from espnet3_tts.metrics import judges
from espnet3_tts.metrics.base import PooledMetric
from espnet3_tts.metrics.config import (
    DnsmosConfig,
    IntelligibilityConfig,
    JudgeConfig,
    SpeakerSimilarityConfig,
)
from espnet3_tts.text.english import normalize_english


class JudgedMetric(PooledMetric):
    """Base of metrics with a judge: without it there is no score, but the line that installs it.

    Attributes:
        judge: The judge; None where it is absent.
    """

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__(config)
        self.judge, self.absent = judges.asked(config, f"tts/{self.key}", self.make)

    def make(self) -> Any:
        """The judge; raises :class:`espnet3_tts.metrics.judges.Absent`."""
        raise NotImplementedError

    def compute(self) -> dict[str, Any]:
        """The score, or None and ``skipped``."""
        return super().compute() if self.absent is None else {self.key: None, "skipped": self.absent}

    def ratio(self) -> Ratio | None:
        """How the score comes from the records; None without a judge."""
        return super().ratio() if self.absent is None else None


class Intelligibility(JudgedMetric):
    """Base of error rates of what a recogniser understands.

    Args:
        config: Which recogniser, and normalizers.
        recipe_dir: Folder that a bundle's path is relative to.
    """

    inputs: ClassVar = {"text": "dataset:text", "audio": "audio"}
    scale = 100.0
    config: IntelligibilityConfig

    def __init__(self, config: IntelligibilityConfig, *, recipe_dir: Path | None = None) -> None:
        self.recipe_dir = recipe_dir
        self.normalize = TextNormalizer(config.normalizers)
        super().__init__(config)

    def make(self) -> Any:
        """The recogniser."""
        return judges.recogniser(self.config, self.recipe_dir)

    def clean(self, text: str) -> str:
        """A text as it is compared."""
        return self.normalize(normalize_english(text) if self.config.language == "en" else text)

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Recognise ``audio`` and compare with ``text``."""
        if self.judge is None:
            return
        for name, text, audio in zip(ids, values["text"], values["audio"], strict=True):
            wanted, found = self.clean(text), self.clean(self.judge(audio))
            units, heard = self.units(wanted), self.units(found)
            self.add(name, edits(units, heard), len(units), reference=wanted, hypothesis=found)

    def units(self, text: str) -> list[str]:
        """What is counted."""
        raise NotImplementedError

    def provenance(self) -> dict[str, Any]:
        """Who listened, and the normalizers."""
        judge = self.config.bundle or f"whisper {self.config.whisper}"
        return {"judge": judge, "normalizers": self.normalize.describe()}


class WordErrorRate(Intelligibility):
    """Words that a recogniser gets wrong, in percent."""

    key = "wer"

    def units(self, text: str) -> list[str]:
        """Words."""
        return text.split()


class CharacterErrorRate(Intelligibility):
    """Characters that a recogniser gets wrong, in percent; spaces count."""

    key = "cer"

    def units(self, text: str) -> list[str]:
        """Characters."""
        return list(" ".join(text.split()))


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Smallest number of substitutions, deletions and insertions (Levenshtein 1966).

    >>> edits("kitten", "sitting")
    3
    """
    row = list(range(len(hypothesis) + 1))
    for number, unit in enumerate(reference, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(hypothesis, 1):
            diagonal, row[place] = (
                row[place],
                min(diagonal + (unit != other), row[place] + 1, row[place - 1] + 1),
            )
    return row[-1]


class SpeakerSimilarity(JudgedMetric):
    """Cosine of the speaker embeddings of synthetic speech and of the reference, mean over utterances.

    Args:
        config: What to do without the judge.
        sample_rate: Of the references.
    """

    key = "speaker_similarity"
    better = "higher"

    def __init__(self, config: SpeakerSimilarityConfig, *, sample_rate: int | None = None) -> None:
        self.sample_rate = sample_rate or judges.RATE
        super().__init__(config)

    def make(self) -> Any:
        """The speaker encoder."""
        return judges.speaker_encoder()

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Compare ``reference`` samples and ``audio``."""
        if self.judge is None:
            return
        for name, reference, audio in zip(ids, values["reference"], values["audio"], strict=True):
            first, second = self.judge(Audio(reference, self.sample_rate)), self.judge(audio)
            norms = np.linalg.norm(first) * np.linalg.norm(second)
            self.add(name, float(first @ second / norms), 1.0)


class Dnsmos(JudgedMetric):
    """Overall quality from 1 to 5 as DNSMOS predicts it, mean over utterances."""

    inputs: ClassVar = {"audio": "audio"}
    key = "dnsmos"
    better = "higher"

    def __init__(self, config: DnsmosConfig) -> None:
        super().__init__(config)

    def make(self) -> Any:
        """The predictor."""
        return judges.dnsmos()

    def update(self, ids: Sequence[str], **values: Sequence[Any]) -> None:
        """Judge ``audio``."""
        if self.judge is None:
            return
        for name, audio in zip(ids, values["audio"], strict=True):
            self.add(name, self.judge(audio), 1.0)
