"""Cutting, putting together, and subtitles."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import numpy as np
import pytest
from espnet3_asr.transcribe.arguments import arguments
from espnet3_asr.transcribe.pieces import cut
from espnet3_asr.transcribe.subtitles import cues, timestamp, to_srt, to_vtt
from espnet3_asr.transcribe.transcript import Segment, Transcript
from espnet3_core.bundle.results import Result, Word

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


def test_arguments_import_nothing_heavy() -> None:
    code = (
        "import sys, espnet3_asr.cli_records\n"
        "import espnet3_asr.transcribe.arguments, espnet3_asr.transcribe.command\n"
        "import espnet3_asr.tokenizers.records, espnet3_asr.metrics.records\n"
        "import espnet3_asr.tokenizers.config, espnet3_asr.metrics.config\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'hydra', 'omegaconf', 'lightning', 'rapidfuzz'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
    parser = argparse.ArgumentParser()
    arguments(parser)
    assert parser.parse_args(["-"]).inputs == ["-"]
