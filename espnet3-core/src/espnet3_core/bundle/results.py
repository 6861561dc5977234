"""Typed results of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Word:
    """A word and its time.

    Attributes:
        word: The word.
        start: Seconds from the beginning of the audio.
        end: Seconds from the beginning of the audio.
    """

    word: str
    start: float
    end: float


@dataclass(frozen=True)
class Hypothesis:
    """One entry of an n-best list.

    Attributes:
        text: Text.
        tokens: Tokens as the vocabulary spells them.
        score: Natural logarithm of what the search maximizes.
    """

    text: str
    tokens: tuple[str, ...] = ()
    score: float | None = None


@dataclass(frozen=True)
class Result:
    """What the model says about one utterance.

    Attributes:
        id: File name, or number of the array.
        text: Best text; empty when nothing was said, or when the model gives no text.
        tokens: Tokens of the best text.
        score: Natural logarithm of what the search maximizes.
        words: Words with times; empty when the search gives none.
        nbest: Best first; empty when the search gives none.
        seconds: Duration of the audio.
        fields: All that the model returned.
    """

    id: str
    text: str = ""
    tokens: tuple[str, ...] = ()
    score: float | None = None
    words: tuple[Word, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
    seconds: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, seconds: float, record: Mapping[str, Any]) -> Result:
        """A result from the dict that a search returned."""
        return cls(
            id=name,
            text=record.get("text", ""),
            tokens=tuple(record.get("tokens", ())),
            score=record.get("score"),
            words=tuple(
                Word(entry["word"], entry["start"], entry["end"]) for entry in record.get("words", ())
            ),
            nbest=tuple(
                Hypothesis(entry["text"], tuple(entry.get("tokens", ())), entry.get("score"))
                for entry in record.get("nbest", ())
            ),
            seconds=seconds,
            fields=dict(record),
        )
