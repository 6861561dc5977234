"""Words with times to subtitles: cues, SubRip (srt) and WebVTT (https://www.w3.org/TR/webvtt1)."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from espnet3_core.bundle.results import Word
from espnet3_core.bundle.transcript import Segment, Transcript

LINE = 42
"""Characters in a line."""
LINES = 2
LONGEST = 6.0
"""Seconds that a cue lasts at most."""
PAUSE = 1.2
"""Seconds between words that end a cue; CTC marks a word's first sound better than its last."""
SHORTEST = 1.0
"""Seconds that a cue stays at least, where the next one leaves room."""


@dataclass(frozen=True)
class Cue:
    """A subtitle.

    Attributes:
        start: In seconds.
        end: In seconds; later than ``start``, and not later than the next cue's start.
        text: One or two lines.
    """

    start: float
    end: float
    text: str


def cues(transcript: Transcript) -> list[Cue]:
    """Subtitles of a transcript. Words without times share their segment evenly, by characters."""
    words = [word for segment in transcript.segments for word in _timed(segment)]
    groups = list(_groups(words))
    found: list[Cue] = []
    for number, group in enumerate(groups):
        following = (
            groups[number + 1][0].start
            if number + 1 < len(groups)
            else max(transcript.seconds, group[-1].end)
        )
        start = max(group[0].start, found[-1].end if found else 0.0)
        end = min(max(group[-1].end, start + SHORTEST), max(following, group[-1].end))
        # Times come in milliseconds; a cue without length would not be shown.
        found.append(Cue(start, max(end, start + 0.001), _wrap([word.word for word in group])))
    return found


def _timed(segment: Segment) -> Sequence[Word]:
    if segment.words:
        return segment.words
    words = segment.text.split()
    total = sum(map(len, words))
    timed, position = [], segment.start
    for word in words:
        end = position + (segment.end - segment.start) * len(word) / total
        timed.append(Word(word, round(position, 3), round(end, 3)))
        position = end
    return timed


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group and (
            word.start - group[-1].end > PAUSE
            or word.end - group[0].start > LONGEST
            or len(_lines([*(entry.word for entry in group), word.word])) > LINES
        ):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _lines(words: Sequence[str], width: int = LINE) -> list[str]:
    """Words filled into lines; a word longer than a line has one of its own."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _wrap(words: Sequence[str]) -> str:
    """One line, or two of about equal length."""
    text = " ".join(words)
    if len(text) <= LINE or len(words) < 2:
        return text
    splits = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    return "\n".join(min(splits, key=lambda pair: max(map(len, pair))))


def timestamp(seconds: float, separator: str) -> str:
    """``hh:mm:ss,mmm``.

    >>> timestamp(3723.0416, ",")
    '01:02:03,042'
    """
    total = round(seconds * 1000)
    hours, rest = divmod(total, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    whole, milliseconds = divmod(rest, 1000)
    return f"{hours:02}:{minutes:02}:{whole:02}{separator}{milliseconds:03}"


def to_srt(transcript: Transcript) -> str:
    """SubRip: numbered cues, decimal comma."""
    return "".join(
        f"{number}\n{timestamp(cue.start, ',')} --> {timestamp(cue.end, ',')}\n{cue.text}\n\n"
        for number, cue in enumerate(cues(transcript), 1)
    )


def to_vtt(transcript: Transcript) -> str:
    """WebVTT: a header, decimal point, ``& < >`` escaped."""
    body = "".join(
        f"{timestamp(cue.start, '.')} --> {timestamp(cue.end, '.')}\n{html.escape(cue.text, quote=False)}\n\n"
        for cue in cues(transcript)
    )
    return f"WEBVTT\n\n{body}"
