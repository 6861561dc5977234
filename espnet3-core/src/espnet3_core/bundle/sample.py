"""A sample input with what came of it: packed with a model, and replayed to see that it still does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from espnet3_core.bundle.manifest import SAMPLE
from espnet3_core.bundle.model import LoadedModel
from espnet3_core.bundle.results import Result
from espnet3_core.data.audio import read_audio
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration

WANTED_SECONDS = 3.0
"""Duration that the utterance chosen for a sample comes closest to."""
TOLERANCE = 1e-4
"""Largest difference of samples of audio, and of numbers relative to their size (at least 1)."""
_TIME_TOLERANCE = 0.02
"""Largest difference of times, in seconds: a frame that falls on the other side."""


@dataclass(frozen=True)
class Sample:
    """Values for the inputs of a model.

    Attributes:
        values: By field. Audio: ``(samples,)`` at the model's rate; other values as JSON says them.
    """

    values: Mapping[str, Any]


def write_sample(directory: Path, model: LoadedModel, sample: Sample) -> dict[str, Any]:
    """Write a sample's audio below ``sample/`` and run the model on what was written.

    Returns:
        The manifest's entry: ``inputs`` and ``outputs`` by field; audio by the name of its file.

    Raises:
        UserError: The model gives bare numbers for a field that is declared as audio.
    """
    inputs = {}
    for field in model.inputs:
        if field.name in sample.values:
            value = sample.values[field.name]
            inputs[field.name] = (
                _write(directory, field.name, value, model.sample_rate, "PCM_16")
                if field.kind == "audio"
                else value
            )
    outputs: dict[str, Any] = {}
    result = run_sample(directory, model, inputs)
    for field in model.outputs:
        if field.kind == "audio" and result.audio is not None:
            audio = result.audio
            outputs[field.name] = _write(directory, field.name, audio.samples, audio.sample_rate, "FLOAT")
        elif field.kind == "audio" and field.name in result.fields:
            given = type(result.fields[field.name]).__name__
            raise UserError(
                f"{field.name}: audio is declared, and the model gives {given}",
                hint="let infer return espnet3_core.infer.audio.Audio(samples, sample_rate)",
            )
        elif field.name in result.fields:
            outputs[field.name] = result.fields[field.name]
    return {"inputs": inputs, "outputs": outputs}


def _write(directory: Path, name: str, samples: NDArray[np.float32], rate: int | None, subtype: str) -> str:
    import soundfile

    path = directory / SAMPLE / f"{name}.wav"
    path.parent.mkdir(exist_ok=True)
    soundfile.write(path, samples, rate, subtype=subtype)
    return f"{SAMPLE}/{name}.wav"


def run_sample(directory: Path, model: LoadedModel, inputs: Mapping[str, Any]) -> Result:
    """What the model gives for a sample's inputs."""
    values = {
        field.name: directory / inputs[field.name] if field.kind == "audio" else inputs[field.name]
        for field in model.inputs
        if field.name in inputs
    }
    first = model.inputs[0].name
    if first not in values:
        raise UserError(f"{directory}: its sample has no {first}", hint="pack the model again")
    return model(values.pop(first), **values)


def differences(directory: Path, model: LoadedModel) -> list[str]:
    """Replay the sample; what is otherwise than when the model was packed, in words."""
    sample = model.manifest.sample or {"inputs": {}, "outputs": {}}
    result = run_sample(directory, model, sample["inputs"])
    return [
        f"{field.name}: {problem}"
        for field in model.outputs
        if field.name in sample["outputs"]
        for problem in _compared(directory, field, sample["outputs"][field.name], result)
    ]


def _compared(directory: Path, field: FieldDeclaration, expected: Any, result: Result) -> Iterator[str]:
    if field.kind == "audio":
        wanted = read_audio(directory / expected, sample_rate=None, channels="reject")
        found = result.audio.samples if result.audio else np.zeros(0, np.float32)
        if len(found) != len(wanted):
            yield f"{len(wanted)} samples are expected, and {len(found)} came"
        elif len(wanted) and (worst := float(np.abs(found - wanted).max())) > TOLERANCE:
            yield f"samples differ by up to {worst:.2g}, and {TOLERANCE:g} is allowed"
    elif field.name not in result.fields:
        yield f"{expected!r} is expected, and nothing came"
    else:
        tolerance = _TIME_TOLERANCE if field.kind == "segments" else TOLERANCE
        if not same(expected, result.fields[field.name], tolerance):
            yield f"{_shown(expected)} is expected, and {_shown(result.fields[field.name])} came"


def same(expected: Any, found: Any, tolerance: float) -> bool:
    """Whether two plain values are equal; numbers up to a tolerance, relative when they are larger than 1."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return expected.keys() == found.keys() and all(
            same(expected[k], found[k], tolerance) for k in expected
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(
            same(a, b, tolerance) for a, b in zip(expected, found, strict=True)
        )
    if isinstance(expected, (int, float)) and isinstance(found, (int, float)):
        return abs(expected - found) <= tolerance * max(1.0, abs(expected))
    return bool(expected == found)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < 200 else f"{text[:200]}…"
