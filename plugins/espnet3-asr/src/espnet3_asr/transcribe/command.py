"""``espnet3 asr``: audio files to text, JSON or subtitles. Text goes to stdout, everything else to stderr."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from espnet3_core.bundle.choice import choose_bundle
from espnet3_core.errors import EXIT_USER, UserError

if TYPE_CHECKING:
    import numpy as np
    from espnet3_core.bundle.load import LoadedModel
    from espnet3_core.bundle.transcript import Transcript
    from numpy.typing import NDArray

    from espnet3_asr.transcribe.sources import Source

MODEL_VARIABLE = "ESPNET3_ASR_MODEL"
GROUP_SECONDS = 600.0
"""Audio that is held in memory and decoded together, in seconds; more only for a single long recording."""


def run(arguments: argparse.Namespace) -> int:
    """Transcribe; files that cannot be read are told and left out.

    Returns:
        0, or 2 when something could not be transcribed.

    Raises:
        UserError: There is no model, nothing to do, or the arguments contradict each other.
    """
    from espnet3_asr.transcribe.sources import find_sources, materialized
    from espnet3_asr.transcribe.writers import open_writer

    if arguments.max_seconds < 1:
        raise UserError(
            f"--max-seconds {arguments.max_seconds:g} is too short", hint="1 or more; 30 is usual"
        )
    bundle = choose_bundle(arguments.model, MODEL_VARIABLE)
    sources, problems = find_sources(arguments.inputs)
    for problem in problems:
        _say(str(problem))
    if not sources:
        return EXIT_USER
    from espnet3_core.bundle.load import load

    with open_writer(sources, arguments.format, arguments.output) as write:
        model = load(bundle, device=arguments.device)
        began, audio, failed = time.monotonic(), 0.0, len(problems)
        with materialized(sources) as ready:
            for source, outcome in transcribe(model, ready, arguments.max_seconds):
                if isinstance(outcome, UserError):
                    failed += 1
                    _say(str(outcome))
                    continue
                audio += outcome.seconds
                write(source, outcome)
    _say(
        f"{audio:.1f} s of audio in {time.monotonic() - began:.1f} s"
        + (f"; {failed} failed" if failed else "")
    )
    return EXIT_USER if failed else 0


@dataclass(frozen=True)
class _Recording:
    source: Source
    speech: NDArray[np.float32]
    pieces: list[tuple[int, int]]


def transcribe(
    model: LoadedModel, sources: Sequence[Source], most: float
) -> Iterator[tuple[Source, Transcript | UserError]]:
    """Transcripts of recordings, in order; an error in place of one that cannot be read.

    Args:
        model: A loaded recogniser.
        sources: Recordings.
        most: Longest piece in seconds.
    """
    told: set[str] = set()
    for group in _groups(model, sources, most, told):
        recordings = [entry for entry in group if isinstance(entry, _Recording)]
        outcomes = iter(_decode(model, recordings))
        for entry in group:
            if isinstance(entry, _Recording):
                yield entry.source, next(outcomes)
            else:
                yield entry


def _groups(
    model: LoadedModel, sources: Sequence[Source], most: float, told: set[str]
) -> Iterator[list[Any]]:
    from espnet3_core.data.pieces import cut

    rate = model.sample_rate or 16000
    group: list[Any] = []
    held = 0.0
    for source in sources:
        try:
            speech = _read(source, rate, told)
        except UserError as error:
            group.append((source, error))
            continue
        group.append(_Recording(source, speech, cut(speech, rate, most)))
        held += len(speech) / rate
        if held >= GROUP_SECONDS:
            yield group
            group, held = [], 0.0
    if group:
        yield group


def _read(source: Source, rate: int, told: set[str]) -> NDArray[np.float32]:
    """Mono samples at the model's rate; what was converted is told once for each kind of file."""
    from espnet3_core.data.audio import audio_info, read_audio

    try:
        info = audio_info(source.path)
        changes = []
        if info.rate != rate:
            changes.append(f"resampled from {info.rate} to {rate} Hz, the model's rate")
        if info.channels > 1:
            changes.append(f"the mean of {info.channels} channels")
        change = " and ".join(changes)
        if change and change not in told:
            told.add(change)
            _say(f"{source.name}: {change}; so is every further file of its kind")
        return read_audio(source.path, sample_rate=rate, channels="mean", resample="soxr")
    except UserError as error:
        raise UserError(error.message.replace(str(source.path), source.name), hint=error.hint) from error


def _decode(model: LoadedModel, recordings: Sequence[_Recording]) -> list[Transcript | UserError]:
    """Decode the pieces of all recordings together; when that fails, one recording after the other."""
    try:
        return list(_together(model, recordings))
    except UserError as error:
        if len(recordings) == 1:
            name = recordings[0].source.name
            return [UserError(f"{name}: {error.message}", hint=error.hint)]
    return [outcome for recording in recordings for outcome in _decode(model, [recording])]


def _together(model: LoadedModel, recordings: Sequence[_Recording]) -> list[Transcript]:
    from espnet3_core.bundle.transcript import Transcript

    rate = model.sample_rate or 16000
    arrays = [entry.speech[start:end] for entry in recordings for start, end in entry.pieces]
    results = model.batch(arrays, sample_rate=rate)
    if any("text" not in result.fields for result in results):
        raise UserError(
            f"{model.directory}: this model gives no text", hint="choose a model for speech recognition"
        )
    found, position = [], 0
    for entry in recordings:
        own = results[position : position + len(entry.pieces)]
        position += len(entry.pieces)
        spans = [(start / rate, end / rate) for start, end in entry.pieces]
        found.append(Transcript.of(entry.source.name, len(entry.speech) / rate, spans, own))
    return found


def _say(message: str) -> None:
    print(f"espnet3 asr: {message}", file=sys.stderr, flush=True)
