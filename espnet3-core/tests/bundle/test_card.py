"""The model card: what its head says, from what the manifest says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from espnet3_core.bundle.card import card
from espnet3_core.bundle.manifest import Manifest
from espnet3_core.fields import FieldDeclaration

AUDIO = FieldDeclaration(name="speech", kind="audio", summary="one utterance")
TEXT = FieldDeclaration(name="text", kind="text", summary="what was said")
LABEL = FieldDeclaration(name="speaker", kind="label", summary="who speaks")
MANIFEST = Manifest(
    system="asr/x",
    title="Digits: one to nine",
    license="CC-BY-4.0",
    language=["en", "no"],
    inputs=[AUDIO],
    outputs=[TEXT],
    training={"datasets": ["openslr/librispeech_asr", "own"]},
    metrics={
        "wer": {"test": {"wer": 3.25, "interval": [1.0, 5.0]}, "silence": {"wer": None}},
        "letters": {"test": {"cer": 1.5}},
    },
)


def head(manifest: Manifest) -> dict[str, Any]:
    found = re.match(r"---\n(.*?)\n---\n\n# ", card(manifest), re.DOTALL)
    assert found is not None
    values: dict[str, Any] = yaml.safe_load(found[1])
    return values


def test_the_head_has_everything_that_is_known() -> None:
    metrics = [
        {"type": "wer", "name": "wer", "value": 3.25},
        {"type": "cer", "name": "letters", "value": 1.5},
    ]
    scores = {
        "task": {"type": "automatic-speech-recognition"},
        "dataset": {"name": "test", "type": "openslr/librispeech_asr"},
        "metrics": metrics,
    }
    assert head(MANIFEST) == {
        "library_name": "espnet3",
        "tags": ["espnet3", "asr"],
        "pipeline_tag": "automatic-speech-recognition",
        "license": "cc-by-4.0",
        "language": ["en", "no"],
        "datasets": ["openslr/librispeech_asr", "own"],
        "model-index": [{"name": "Digits: one to nine", "results": [scores]}],
    }


def test_the_head_has_nothing_that_is_not_known() -> None:
    assert head(Manifest(system="asr/x")) == {"library_name": "espnet3", "tags": ["espnet3", "asr"]}


@pytest.mark.parametrize(
    ("inputs", "outputs", "tag"),
    [
        ([TEXT], [AUDIO], "text-to-speech"),
        ([AUDIO], [AUDIO], "audio-to-audio"),
        ([AUDIO], [LABEL], "audio-classification"),
        ([LABEL], [TEXT], None),
    ],
)
def test_what_a_model_does_is_told_by_its_fields(
    inputs: list[FieldDeclaration], outputs: list[FieldDeclaration], tag: str | None
) -> None:
    assert head(replace(MANIFEST, inputs=inputs, outputs=outputs)).get("pipeline_tag") == tag


def test_the_snippet_takes_the_sample() -> None:
    sample = {"inputs": {"speech": "sample/speech.wav"}, "outputs": {}}
    assert 'model("sample/speech.wav").text' in card(replace(MANIFEST, sample=sample))
    assert 'model("audio.wav").text' in card(MANIFEST)
    spoken = replace(
        MANIFEST, inputs=[TEXT], outputs=[AUDIO], sample={"inputs": {"text": 'so "he" said'}, "outputs": {}}
    )
    assert r'model("so \"he\" said").audio' in card(spoken)


def test_what_is_given_away_with_the_model_is_said() -> None:
    recorded = {"inputs": {"speech": "sample/speech.wav"}, "outputs": {}}
    spoken = {"inputs": {"text": "hello"}, "outputs": {}}
    assert "a recording that is given away" in card(replace(MANIFEST, sample=recorded))
    assert "an input that is given away" in card(replace(MANIFEST, inputs=[TEXT], sample=spoken))
    assert "No sample of the data is given away" in card(replace(MANIFEST, sample=None))
