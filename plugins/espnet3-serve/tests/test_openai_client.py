"""The official client against a server in a process of its own."""

from __future__ import annotations

import io
import re

import numpy as np
import openai
import pytest
import soundfile
from serving_tools import RATE, Running, as_file, heard, letters

SPOKEN = "hello big world"


@pytest.fixture(scope="module")
def client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)


FORMATS = [("WAV", "PCM_16", RATE, 1), ("FLAC", "PCM_24", 16000, 2), ("OGG", "VORBIS", 44100, 1)]


@pytest.mark.parametrize(("form", "subtype", "rate", "channels"), [*FORMATS, ("MP3", None, 16000, 1)])
def test_a_transcript_of_every_format(client, form, subtype, rate, channels):
    samples = np.repeat(letters(SPOKEN, rate)[:, None], channels, 1)
    content = as_file(samples, rate, form, subtype)
    # The name says another format than the bytes: it plays no part.
    found = client.audio.transcriptions.create(file=("a.txt", content), model="ear")
    wanted = SPOKEN if form != "MP3" else SPOKEN[:2]
    assert found.text.replace(" ", "").startswith(wanted.replace(" ", ""))
    assert found.usage.seconds == pytest.approx(len(SPOKEN) * 0.04, abs=0.2)


def test_text_and_subtitles(client):
    def answer(form):
        file = ("a.wav", as_file(letters(SPOKEN)))
        return client.audio.transcriptions.create(file=file, model="ear", response_format=form)

    assert answer("text") == f"{SPOKEN}\n"
    assert answer("srt") == f"1\n00:00:00,000 --> 00:00:00,600\n{SPOKEN}\n\n"
    assert answer("vtt") == f"WEBVTT\n\n00:00:00.000 --> 00:00:00.600\n{SPOKEN}\n\n"


def test_words_and_segments_have_times(client):
    found = client.audio.transcriptions.create(
        file=("a.wav", as_file(letters(SPOKEN))),
        model="ear",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
    )
    assert (found.text, found.language, found.duration) == (SPOKEN, "en", 0.6)
    assert [(word.word, word.start, word.end) for word in found.words] == [
        ("hello", 0.0, 0.2),
        ("big", 0.24, 0.36),
        ("world", 0.4, 0.6),
    ]
    (segment,) = found.segments
    assert (segment.id, segment.start, segment.end, segment.text) == (0, 0.0, 0.6, SPOKEN)
    assert segment.avg_logprob == pytest.approx(-0.5)


def test_a_long_recording_is_cut_and_put_together(client):
    spoken = " ".join(["abc", "kilo", "zulu"] * 40) + 25 * " " + " ".join(["lima", "mike"] * 30)
    file = ("a.flac", as_file(letters(spoken), form="FLAC"))
    found = client.audio.transcriptions.create(
        file=file, model="ear", response_format="verbose_json", timestamp_granularities=["word", "segment"]
    )
    assert len(found.segments) == 2
    assert found.segments[0].end == found.segments[1].start
    assert found.text.split() == spoken.split()
    starts = [0.04 * match.start() for match in re.finditer(r"\w+", spoken)]
    assert [word.start for word in found.words] == pytest.approx(starts, abs=0.002)


@pytest.mark.parametrize("form", ["wav", "flac"])
def test_speech_is_a_file_of_what_was_written(client, form):
    found = client.audio.speech.create(model="mouth", voice="any", input=SPOKEN, response_format=form)
    samples, rate = soundfile.read(io.BytesIO(found.content), dtype="float32")
    assert rate == 16000
    assert len(samples) == 640 * len(SPOKEN)
    assert heard(samples, rate) == SPOKEN


def test_speech_without_a_header_comes_at_24_khz(client):
    found = client.audio.speech.create(model="mouth", voice="any", input=SPOKEN, response_format="pcm")
    samples = np.frombuffer(found.content, "<i2") / 32767
    assert len(samples) == pytest.approx(960 * len(SPOKEN), abs=2)
    assert heard(samples, 24000) == SPOKEN


@pytest.mark.parametrize("form", ["wav", "flac", "pcm"])
def test_long_speech_comes_in_pieces(client, form):
    sentence = "a sentence that is long enough to be a piece of its own when all is counted and told."
    with client.audio.speech.with_streaming_response.create(
        model="mouth", voice="any", input=" ".join([sentence] * 3), response_format=form
    ) as answer:
        content = b"".join(answer.iter_bytes())
    if form == "pcm":
        rate, samples = 24000, np.frombuffer(content, "<i2") / 32767
    elif form == "wav":
        rate, samples = 16000, np.frombuffer(content[44:], "<i2") / 32767
    else:
        # The length that the header could not tell (RFC 9639, section 8.2), which libsndfile insists on.
        count = 3 * 640 * len(sentence) + 2 * 4000
        assert content[22:26] == bytes(4)
        samples, rate = soundfile.read(io.BytesIO(content[:22] + count.to_bytes(4) + content[26:]))
    words = heard(samples, rate).split()
    spoken = sentence.replace(".", "").split()
    assert len(samples) / rate == pytest.approx(3 * 0.04 * len(sentence) + 2 * 0.25, abs=0.01)
    assert words[: len(spoken)] == spoken


def test_speed_is_an_input_of_the_model(client):
    found = client.audio.speech.create(
        model="mouth", voice="any", input="aaaa", response_format="wav", speed=2.0
    )
    samples, rate = soundfile.read(io.BytesIO(found.content))
    assert len(samples) == 4 * 0.02 * rate


def test_models_are_listed(client):
    found = [(model.id, model.gives) for model in client.models.list()]
    assert found == [("ear", ["text"]), ("mouth", ["audio"])]
    assert client.models.retrieve("ear").owned_by == "espnet3"
    with pytest.raises(openai.NotFoundError, match="there are ear, mouth"):
        client.models.retrieve("eye")


def test_refusals_say_what_to_do(client):
    def transcribe(content=None, **options):
        file = ("a.wav", as_file(letters("abc")) if content is None else content)
        return client.audio.transcriptions.create(**{"file": file, "model": "ear", **options})

    with pytest.raises(openai.NotFoundError, match="no model 'eat'; did you mean 'ear'") as unknown:
        transcribe(model="eat")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError, match="'mouth' gives no text; those that do are ear"):
        transcribe(model="mouth")
    with pytest.raises(openai.BadRequestError, match="cannot be decoded.*wav, flac, ogg"):
        transcribe(b"not audio at all" * 100)
    with pytest.raises(openai.BadRequestError, match="response_format: Input should be 'json', 'text'"):
        transcribe(response_format="diarized_json")
    with pytest.raises(openai.BadRequestError, match="times need response_format=verbose_json"):
        transcribe(timestamp_granularities=["word"])
    with pytest.raises(openai.BadRequestError, match="'ear' knows en, not 'de'"):
        transcribe(language="de")
    with pytest.raises(openai.BadRequestError, match="samples are too few to hear anything"):
        transcribe(as_file(np.full(20, 0.1)))
    with pytest.raises(openai.BadRequestError, match="'wav', 'flac' or 'pcm'"):
        client.audio.speech.create(model="mouth", voice="any", input="a", response_format="mp3")
    with pytest.raises(openai.BadRequestError, match="there is no tone for '#'"):
        client.audio.speech.create(model="mouth", voice="any", input="a#")
    with pytest.raises(openai.BadRequestError, match="4097 characters, and at most 4096"):
        client.audio.speech.create(model="mouth", voice="any", input="a" * 4097)
