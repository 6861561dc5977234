"""Putting pieces together, and subtitles."""

from __future__ import annotations

import re

import numpy as np
from espnet3_core.bundle.results import Result, Word
from espnet3_core.bundle.subtitles import cues, timestamp, to_srt, to_vtt
from espnet3_core.bundle.transcript import Segment, Transcript


def words(*entries: tuple[str, float, float]) -> tuple[Word, ...]:
    return tuple(Word(*entry) for entry in entries)


def test_pieces_are_put_together() -> None:
    results = [
        Result("0", "one two", words=words(("one", 0.1, 0.5), ("two", 0.6, 1.0))),
        Result("1"),
        Result("2", " three ", words=words(("three", 0.25, 0.5))),
    ]
    transcript = Transcript.of("a.wav", 25.0, [(0, 10), (10, 20), (20, 25)], results)
    assert transcript.text == "one two three"
    assert transcript.words[-1] == Word("three", 20.25, 20.5)
    assert transcript.to_dict()["segments"][2] == {"start": 20, "end": 25, "text": "three"}


def transcript(*entries: tuple[str, float, float], seconds: float = 100.0) -> Transcript:
    text = " ".join(entry[0] for entry in entries)
    return Transcript("a.wav", seconds, (Segment(0.0, seconds, text, words(*entries)),))


def test_srt_and_vtt() -> None:
    spoken = transcript(
        ("Tom", 0.5, 1.0), ("&", 1.0, 1.2), ("<b>", 1.2, 2.0), ("later", 3661.0, 3662.5), seconds=4000.0
    )
    assert to_srt(spoken) == (
        "1\n00:00:00,500 --> 00:00:02,000\nTom & <b>\n\n2\n01:01:01,000 --> 01:01:02,500\nlater\n\n"
    )
    assert to_vtt(spoken) == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:02.000\nTom &amp; &lt;b&gt;\n\n"
        "01:01:01.000 --> 01:01:02.500\nlater\n\n"
    )
    assert to_srt(transcript()) == ""
    assert to_vtt(transcript()) == "WEBVTT\n\n"


def test_timestamps_carry() -> None:
    assert timestamp(59.9996, ",") == "00:01:00,000"
    assert timestamp(0, ".") == "00:00:00.000"
    assert timestamp(360_000, ".") == "100:00:00.000"


def test_cues_are_short_ordered_and_complete() -> None:
    rng = np.random.default_rng(4)
    entries, time = [], 0.0
    for number in range(300):
        time += float(rng.choice([0.0, 0.05, 1.5]))
        length = float(rng.uniform(0.0, 0.6))
        entries.append(
            ("w" * int(rng.integers(1, 12)) + str(number), round(time, 3), round(time + length, 3))
        )
        time += length
    found = cues(transcript(*entries, seconds=time))
    assert " ".join(cue.text for cue in found).split() == [entry[0] for entry in entries]
    for cue, following in zip(found, [*found[1:], None], strict=True):
        assert cue.end > cue.start
        assert following is None or cue.end <= following.start
        assert cue.end - cue.start <= 7.0
        assert len(cue.text.split("\n")) <= 2
        assert all(len(line) <= 53 for line in cue.text.split("\n"))
    pattern = r"(\d+\n\d{2}:\d{2}:\d{2},\d{3} --> \d{2}:\d{2}:\d{2},\d{3}\n[^\n]+\n([^\n]+\n)?\n)+"
    assert re.fullmatch(pattern, to_srt(transcript(*entries, seconds=time)))


def test_words_without_times_share_their_segment() -> None:
    parts = (Segment(0.0, 4.0, "one three", ()), Segment(4.0, 5.0, "", ()))
    (cue,) = cues(Transcript("a.wav", 5.0, parts))
    assert (cue.start, cue.end, cue.text) == (0.0, 4.0, "one three")
