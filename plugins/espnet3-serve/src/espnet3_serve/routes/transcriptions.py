"""``POST /v1/audio/transcriptions``: a recording to text, subtitles, or words and segments with times."""

from __future__ import annotations

import math
import zlib
from typing import Any, Literal

from espnet3_core.bundle.results import Result
from espnet3_core.bundle.subtitles import to_srt, to_vtt
from espnet3_core.bundle.transcript import Transcript
from espnet3_core.data.audio import Samples
from espnet3_core.data.pieces import cut
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response

from espnet3_serve.errors import APIError
from espnet3_serve.limits import Limits
from espnet3_serve.routes.common import WORK_REFUSALS, Began, Serving, authorised, while_connected
from espnet3_serve.service import Served
from espnet3_serve.upload import decode, fields_of, file_of, read_form

GRANULARITIES = "timestamp_granularities[]"

router = APIRouter()


class TranscriptionForm(BaseModel):
    """The fields of a request beside its file. Others are ignored, as OpenAI's clients send ever more."""

    model: str = Field(description="One of the names that GET /v1/models lists.")
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    timestamp_granularities: list[Literal["word", "segment"]] = Field(
        default=["segment"],
        alias="timestamp_granularities[]",
        description="What verbose_json gives times of.",
    )
    language: str | None = Field(default=None, description="ISO 639-1.")
    prompt: str | None = Field(default=None, description="Ignored.")
    temperature: float = Field(default=0.0, description="Ignored.")
    stream: bool = Field(default=False, description="Only false.")


class Usage(BaseModel):
    """What the request was worth."""

    type: Literal["duration"] = "duration"
    seconds: float


class Transcription(BaseModel):
    """The answer in the format ``json``."""

    text: str
    usage: Usage


class TimedWord(BaseModel):
    """A word with times in seconds."""

    word: str
    start: float
    end: float


class TimedSegment(BaseModel):
    """A stretch of the recording, times in seconds; what the model does not tell is zero, null or empty."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    temperature: float = 0.0
    avg_logprob: float | None
    compression_ratio: float
    no_speech_prob: float = 0.0


class VerboseTranscription(BaseModel):
    """The answer in the format ``verbose_json``."""

    task: Literal["transcribe"] = "transcribe"
    language: str
    duration: float
    text: str
    words: list[TimedWord] | None = None
    segments: list[TimedSegment] | None = None
    usage: Usage


def _form_schema() -> dict[str, Any]:
    schema = TranscriptionForm.model_json_schema(by_alias=True)
    file = {"type": "string", "format": "binary", "description": "wav, flac, ogg, mp3 or aiff."}
    return {**schema, "properties": {"file": file, **schema["properties"]}, "required": ["file", "model"]}


_TEXTS: dict[str, Any] = {
    "text/plain": {"schema": {"type": "string"}},
    "text/vtt": {"schema": {"type": "string"}},
    "application/x-subrip": {"schema": {"type": "string"}},
}


@router.post(
    "/v1/audio/transcriptions",
    summary="Transcribe a recording",
    dependencies=[Depends(authorised)],
    response_class=Response,
    responses={
        200: {
            "model": Transcription | VerboseTranscription,
            "content": _TEXTS,
            "description": "In the format that was asked for.",
        },
        **WORK_REFUSALS,
    },
    openapi_extra={
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _form_schema()}}}
    },
)
async def transcribe(request: Request, service: Serving, began: Began) -> Response:
    """Transcribe the file of a form."""
    form = await service.within(read_form(request, service.limits), began, 408)
    wanted = _validated(fields_of(form, lists=(GRANULARITIES,)))
    served = service.find(wanted.model, "text")
    _check_language(served, wanted.language)
    content = await file_of(form, service.limits)
    rate = served.sample_rate
    samples, pieces = await service.in_thread(_samples, content, rate, service.limits)
    service.meters.audio.labels(served.name).inc(len(samples) / rate)
    speech = served.model.inputs[0].name
    utterances = [{speech: samples[start:end]} for start, end in pieces]
    results = await service.within(while_connected(request, served.compute(utterances, "file")), began, 503)
    spans = [(start / rate, end / rate) for start, end in pieces]
    return _answer(wanted, served, Transcript.of("file", len(samples) / rate, spans, results), results)


def _samples(content: bytes, rate: int, limits: Limits) -> tuple[Samples, list[tuple[int, int]]]:
    """The recording, and where it is cut into pieces that the model takes."""
    samples = decode(content, rate, limits)
    return samples, cut(samples, rate, limits.piece)


def _validated(fields: dict[str, Any]) -> TranscriptionForm:
    try:
        form = TranscriptionForm.model_validate(fields)
    except ValidationError as error:
        raise APIError.invalid(error) from None
    if form.stream:
        raise APIError(400, "transcripts are not streamed; leave `stream` out", param="stream")
    if GRANULARITIES in fields and form.response_format != "verbose_json":
        raise APIError(400, "times need response_format=verbose_json", param=GRANULARITIES)
    return form


def _check_language(served: Served, language: str | None) -> None:
    known = served.model.manifest.language
    if language and known and language.lower().split("-")[0] not in known:
        spoken = ", ".join(known)
        raise APIError(400, f"the model {served.name!r} knows {spoken}, not {language!r}", param="language")


def _answer(
    form: TranscriptionForm, served: Served, transcript: Transcript, results: list[Result]
) -> Response:
    usage = Usage(seconds=round(transcript.seconds, 3))
    match form.response_format:
        case "text":
            return Response(f"{transcript.text}\n", media_type="text/plain")
        case "srt":
            return Response(to_srt(transcript), media_type="application/x-subrip")
        case "vtt":
            return Response(to_vtt(transcript), media_type="text/vtt")
        case "json":
            answer: BaseModel = Transcription(text=transcript.text, usage=usage)
        case "verbose_json":
            wanted = form.timestamp_granularities
            answer = VerboseTranscription(
                language=next(iter(served.model.manifest.language), ""),
                duration=usage.seconds,
                text=transcript.text,
                words=_words(transcript) if "word" in wanted else None,
                segments=_segments(transcript, results) if "segment" in wanted else None,
                usage=usage,
            )
    return Response(answer.model_dump_json(), media_type="application/json")


def _words(transcript: Transcript) -> list[TimedWord]:
    return [TimedWord(word=word.word, start=word.start, end=word.end) for word in transcript.words]


def _segments(transcript: Transcript, results: list[Result]) -> list[TimedSegment]:
    return [
        TimedSegment(
            id=number,
            seek=round(segment.start * 100),
            start=round(segment.start, 3),
            end=round(segment.end, 3),
            text=segment.text,
            tokens=[],
            avg_logprob=_mean_score(result),
            compression_ratio=_compression(segment.text),
        )
        for number, (segment, result) in enumerate(zip(transcript.segments, results, strict=True))
    ]


def _mean_score(result: Result) -> float | None:
    if result.score is None or not math.isfinite(result.score):
        return None
    return result.score / max(1, len(result.tokens))


def _compression(text: str) -> float:
    """Bytes before and after zlib: large when a text repeats itself, as those of failing decoders do."""
    plain = text.encode()
    return round(len(plain) / len(zlib.compress(plain)), 3)
