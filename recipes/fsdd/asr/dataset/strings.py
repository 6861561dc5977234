"""Digit strings out of single recordings: which recordings follow each other, and with which pauses.

Everything is drawn from ``random.Random(text).random()``, whose values Python promises to keep across
versions and platforms: the same corpus gives the same strings everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 8000
SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
RECORDINGS_EACH = 50
MIN_DIGITS, MAX_DIGITS = 3, 7
NO_PAUSE_SHARE = 0.2
MAX_PAUSE = 2000  # samples: 250 ms


@dataclass(frozen=True)
class Recording:
    """One spoken digit of the corpus."""

    digit: int
    speaker: str
    index: int

    @property
    def name(self) -> str:
        """Name of its file without the suffix: ``7_theo_12``."""
        return f"{self.digit}_{self.speaker}_{self.index}"


@dataclass(frozen=True)
class DigitString:
    """Recordings of one speaker in a row.

    Attributes:
        id: Unique within the corpus: speaker, split and running number.
        recordings: What is spoken, in order.
        pauses: Silence in samples before each recording, and one after the last.
    """

    id: str
    recordings: tuple[Recording, ...]
    pauses: tuple[int, ...]

    @property
    def speaker(self) -> str:
        """Who speaks."""
        return self.recordings[0].speaker

    @property
    def text(self) -> str:
        """The digits as words: ``7 2 1``."""
        return " ".join(str(recording.digit) for recording in self.recordings)


def recordings(speakers: Sequence[str], indices: Iterable[int]) -> list[Recording]:
    """All recordings of the speakers whose index is among ``indices``."""
    indices = list(indices)
    return [Recording(d, s, i) for s in speakers for d in range(10) for i in indices]


def make_strings(
    pool: Iterable[Recording], split: str, passes: int, version: int = 0
) -> Iterator[DigitString]:
    """Strings that use each recording of ``pool`` exactly ``passes`` times, never twice in one string."""
    by_speaker: dict[str, list[Recording]] = {}
    for recording in pool:
        by_speaker.setdefault(recording.speaker, []).append(recording)
    for speaker, own in sorted(by_speaker.items()):
        number = 0
        for turn in range(passes):
            source = Random(f"fsdd {version} {split} {speaker} {turn}")
            shuffled = sorted(own, key=lambda recording: (source.random(), recording.name))
            for start, length in _pieces(len(shuffled), source):
                pauses = tuple(_pause(source) for _ in range(length + 1))
                members = tuple(shuffled[start : start + length])
                yield DigitString(f"{speaker}-{split}-{number:04d}", members, pauses)
                number += 1


def _pieces(count: int, source: Random) -> Iterator[tuple[int, int]]:
    """Cut ``count`` items into pieces of MIN_DIGITS to MAX_DIGITS: (start, length)."""
    start = 0
    while start < count:
        left = count - start
        legal = [n for n in range(MIN_DIGITS, MAX_DIGITS + 1) if left == n or left - n >= MIN_DIGITS]
        length = legal[int(source.random() * len(legal))]
        yield start, length
        start += length


def _pause(source: Random) -> int:
    skip, length = source.random(), source.random()
    return 0 if skip < NO_PAUSE_SHARE else int(length * MAX_PAUSE)


def render(string: DigitString, audio: Mapping[str, NDArray[np.int16]]) -> NDArray[np.int16]:
    """The waveform of a string, from the waveforms of single recordings by name."""
    parts: list[NDArray[np.int16]] = []
    for pause, recording in zip(string.pauses, string.recordings, strict=False):
        parts += [np.zeros(pause, np.int16), audio[recording.name]]
    parts.append(np.zeros(string.pauses[-1], np.int16))
    return np.concatenate(parts)
