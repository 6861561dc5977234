"""Models that are no recognisers: text to audio, and audio in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from beeper import RATE, Beeper, Counter, Letters, Plugin
from espnet3_core import load
from espnet3_core.bundle.contents import providers
from espnet3_core.bundle.manifest import Manifest, check_sample, read_manifest
from espnet3_core.bundle.pack import write_bundle
from espnet3_core.bundle.sample import Sample, differences, same, write_sample
from espnet3_core.catalog import current_catalog, use_catalog
from espnet3_core.errors import UserError
from espnet3_core.fields import FieldDeclaration
from safetensors.torch import load_file, save_file


@pytest.fixture(autouse=True)
def plugin() -> Iterator[None]:
    with use_catalog(current_catalog().with_plugin("acme", Plugin)):
        yield


@pytest.fixture
def synthesizer(tmp_path: Path) -> Path:
    config = {"sample_rate": RATE, "model": {"name": "acme/beeper"}, "tokenizer": {"name": "acme/letters"}}
    manifest = Manifest(
        system="acme/speech",
        sample_rate=RATE,
        components=providers(config),
        inputs=[FieldDeclaration("text", "text")],
        outputs=[FieldDeclaration("audio", "audio"), FieldDeclaration("seconds", "number")],
    )
    weights = Beeper(sample_rate=RATE, tokenizer=None).state_dict()
    write_bundle(tmp_path / "bundle", manifest, config, weights, Letters(), Sample({"text": "hello"}))
    return tmp_path / "bundle"


@pytest.fixture
def counter(tmp_path: Path) -> Path:
    config = {"sample_rate": RATE, "model": {"name": "acme/counter"}}
    manifest = Manifest(system="acme/count", sample_rate=RATE, components=providers(config))
    write_bundle(tmp_path / "bundle", manifest, config, Counter().state_dict())
    return tmp_path / "bundle"


def test_text_becomes_audio_with_its_rate(synthesizer: Path) -> None:
    model = load(synthesizer, device="cpu")
    result = model("ab")
    assert result.audio is not None
    assert (result.audio.sample_rate, result.audio.seconds, result.audio.samples.dtype) == (
        RATE,
        0.2,
        np.float32,
    )
    crossings = np.count_nonzero(np.diff(np.sign(result.audio.samples[: RATE // 10])))
    assert crossings == pytest.approx(2 * 0.1 * 5 * ord("a"), abs=2)
    assert result.fields == {"seconds": pytest.approx(0.2)}
    alone, batched = model("hey").audio, model.batch(["a", "hey", "hello"])[1].audio
    assert alone is not None
    assert batched is not None
    assert np.array_equal(alone.samples, batched.samples)
    for call in (
        lambda: model(3),
        lambda: model("a", speaker="x"),
        lambda: model.batch(["a"], text=["a", "b"]),
    ):
        with pytest.raises((UserError, TypeError)):
            call()


def test_a_sample_of_audio_is_compared(synthesizer: Path) -> None:
    model = load(synthesizer, device="cpu")
    assert (synthesizer / "sample/audio.wav").is_file()
    assert differences(synthesizer, model) == []
    with torch.no_grad():
        model.model.pitch.fill_(5.0001)
    (problem,) = differences(synthesizer, model)
    assert problem.startswith("audio: samples differ by up to")


@pytest.mark.parametrize(
    ("expected", "found", "equal"),
    [
        (-200.0, -200.01, True),
        (-200.0, -200.1, False),
        (0.0, 5e-5, True),
        ("a", "b", False),
        ([{"start": 1.0}], [{"start": 1.00005}], True),
        ([1.0], [1.0, 2.0], False),
        ({"a": 1}, {"b": 1}, False),
        (True, True, True),
        (None, 1.0, False),
    ],
)
def test_equality_of_results(expected: Any, found: Any, equal: bool) -> None:
    assert same(expected, found, 1e-4) is equal


def test_a_model_that_listens_gives_partial_results(counter: Path) -> None:
    model = load(counter, device="cpu")
    with model.stream() as stream:
        assert stream.sample_rate == RATE
        partial = [stream.accept(np.zeros(count, np.float32)) for count in (100, 50)]
        assert [entry and entry.text for entry in partial] == ["100 …", "150 …"]
        result = stream.finish()
    assert (result.text, result.seconds) == ("150", 150 / RATE)
    with pytest.raises(UserError, match="this stream is finished"):
        stream.accept(np.zeros(1, np.float32))


def test_texts_have_no_stream(synthesizer: Path) -> None:
    with pytest.raises(UserError, match="only models that take audio"):
        load(synthesizer, device="cpu").stream()


def test_weights_of_half_precision_load_and_whole_numbers_do_not(counter: Path) -> None:
    path = counter / "model.safetensors"
    for dtype, accepted in ((torch.float16, True), (torch.int32, False)):
        save_file({name: value.to(dtype) for name, value in load_file(path).items()}, path)
        from espnet3_core.bundle.weights import check_types

        if accepted:
            check_types(path, Counter())
            continue
        with pytest.raises(UserError, match=r"is I32, and the model's is torch\.float32"):
            check_types(path, Counter())


def test_audio_that_is_bare_numbers_is_refused_when_it_is_packed(
    synthesizer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Beeper.infer

    def bare(self: Beeper, batch: dict[str, Any]) -> list[dict[str, Any]]:
        return [{**record, "audio": record["audio"].samples[:9]} for record in whole(self, batch)]

    model = load(synthesizer, device="cpu")
    monkeypatch.setattr(Beeper, "infer", bare)
    with pytest.raises(UserError, match="audio: audio is declared, and the model gives list") as error:
        write_sample(tmp_path, model, Sample({"text": "hello"}))
    assert "espnet3_core.infer.audio.Audio" in str(error.value.hint)


def test_a_sample_whose_audio_is_no_file_is_refused(synthesizer: Path) -> None:
    manifest = read_manifest(synthesizer)
    sample = {"inputs": {"text": "hello"}, "outputs": {"audio": [0.0, 0.1]}}
    with pytest.raises(UserError, match="which is no file of the manifest"):
        check_sample(synthesizer, replace(manifest, sample=sample))
