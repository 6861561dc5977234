"""Typed results of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet3_core.infer.audio import Audio


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
        id: File name, or number of the input.
        text: Best text; empty when nothing was said, or when the model gives no text.
        tokens: Tokens of the best text.
        times: Start and end of each token in seconds; empty when the search gives none.
        score: Natural logarithm of what the search maximizes.
        words: Words with times; empty when the search gives none.
        nbest: Best first; empty when the search gives none.
        audio: The audio that the model made; None when it makes none.
        seconds: Duration of the audio that went in.
        fields: All that the model returned, but audio.
    """

    id: str
    text: str = ""
    tokens: tuple[str, ...] = ()
    times: tuple[tuple[float, float], ...] = ()
    score: float | None = None
    words: tuple[Word, ...] = ()
    nbest: tuple[Hypothesis, ...] = ()
    audio: Audio | None = None
    seconds: float = 0.0
    fields: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, name: str, seconds: float, record: Mapping[str, Any], audio: Audio | None = None) -> Result:
        """A result from the dict that a model or a search returned."""
        return cls(
            id=name,
            text=record.get("text", ""),
            tokens=tuple(record.get("tokens", ())),
            times=tuple((entry["start"], entry["end"]) for entry in record.get("token_times", ())),
            score=record.get("score"),
            words=tuple(
                Word(entry["word"], entry["start"], entry["end"]) for entry in record.get("words", ())
            ),
            nbest=tuple(
                Hypothesis(entry["text"], tuple(entry.get("tokens", ())), entry.get("score"))
                for entry in record.get("nbest", ())
            ),
            audio=audio,
            seconds=seconds,
            fields=dict(record),
        )
