"""Transcripts of whole recordings, put together from their pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from espnet3_core.bundle.results import Result, Word


@dataclass(frozen=True)
class Segment:
    """What one piece of a recording says.

    Attributes:
        start: Seconds from the beginning of the recording.
        end: Seconds from the beginning of the recording.
        text: Its text.
        words: Words with times in the recording; empty when the model gives none.
    """

    start: float
    end: float
    text: str
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Transcript:
    """What a recording says.

    Attributes:
        name: File name.
        seconds: Duration.
        segments: Pieces, in order.
    """

    name: str
    seconds: float
    segments: tuple[Segment, ...]

    @classmethod
    def of(
        cls, name: str, seconds: float, spans: Sequence[tuple[float, float]], results: Sequence[Result]
    ) -> Transcript:
        """Put results of pieces together; their times get the start of their piece added."""
        segments = []
        for (start, end), result in zip(spans, results, strict=True):
            words = tuple(
                Word(word.word, round(start + word.start, 3), round(start + word.end, 3))
                for word in result.words
            )
            segments.append(Segment(start, end, result.text.strip(), words))
        return cls(name, seconds, tuple(segments))

    @property
    def text(self) -> str:
        """The whole text on one line."""
        return " ".join(segment.text for segment in self.segments if segment.text)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words with times."""
        return tuple(word for segment in self.segments for word in segment.words)

    def to_dict(self) -> dict[str, Any]:
        """Plain values: ``file``, ``seconds``, ``text``, ``segments``, ``words``."""
        return {
            "file": self.name,
            "seconds": round(self.seconds, 3),
            "text": self.text,
            "segments": [
                {"start": round(part.start, 3), "end": round(part.end, 3), "text": part.text}
                for part in self.segments
            ],
            "words": [{"word": word.word, "start": word.start, "end": word.end} for word in self.words],
        }
