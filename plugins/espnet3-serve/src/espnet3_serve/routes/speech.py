"""``POST /v1/audio/speech``: text to audio, sent while it is being made."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import numpy as np
from espnet3_core.infer.audio import Audio
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import StreamingResponse

from espnet3_serve.contract import Inputs, input_named
from espnet3_serve.encoding import MEDIA, Encoder, Format, encoder_of
from espnet3_serve.errors import APIError
from espnet3_serve.routes.common import WORK_REFUSALS, Began, Serving, authorised, while_connected
from espnet3_serve.sentences import PAUSE, pieces
from espnet3_serve.service import Served, Service
from espnet3_serve.upload import FIELDS, read_body

router = APIRouter()


class SpeechRequest(BaseModel):
    """What is to be spoken. Other keys are ignored, as OpenAI's clients send ever more."""

    model: str = Field(description="One of the names that GET /v1/models lists.")
    input: str = Field(min_length=1, description="The text.")
    voice: str | dict[str, Any] = Field(
        default="", description="The speaker, where the model has several; else ignored."
    )
    response_format: Format = "wav"
    speed: float = Field(
        default=1.0, ge=0.25, le=4.0, description="Refused where the model has no such input."
    )
    instructions: str | None = Field(default=None, description="Ignored.")
    stream_format: Literal["audio"] = "audio"


_AUDIO = {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()}


@router.post(
    "/v1/audio/speech",
    summary="Speak a text",
    dependencies=[Depends(authorised)],
    response_class=StreamingResponse,
    responses={200: {"content": _AUDIO, "description": "In the format that was asked for."}, **WORK_REFUSALS},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": SpeechRequest.model_json_schema()}},
        }
    },
)
async def speak(request: Request, service: Serving, began: Began) -> StreamingResponse:
    """Speak the text of a JSON object."""
    body = await service.within(_body(request, service), began, 408)
    wanted = _validated(body, service)
    served = service.find(wanted.model, "audio")
    texts = pieces(wanted.input)
    if not texts:
        raise APIError(400, "input: there is nothing to say in it", param="input")
    utterances = [_inputs(wanted, served, text) for text in texts]
    # The first piece is made before the answer begins, so that what is wrong has a status of its own.
    first = await service.within(while_connected(request, _spoken(served, utterances[0])), began, 503)
    encoder = encoder_of(wanted.response_format, first.sample_rate)
    audio = _stream(service, served, began, encoder, first, utterances[1:])
    return StreamingResponse(audio, media_type=MEDIA[wanted.response_format])


async def _body(request: Request, service: Service) -> bytes:
    # A character takes at most 12 bytes in JSON: two escaped halves of a surrogate pair.
    most = 12 * service.limits.characters + FIELDS
    return b"".join([chunk async for chunk in read_body(request, most)])


def _validated(body: bytes, service: Service) -> SpeechRequest:
    try:
        wanted = SpeechRequest.model_validate_json(body)
    except ValidationError as error:
        raise APIError.invalid(error) from None
    if len(wanted.input) > service.limits.characters:
        problem = f"{len(wanted.input)} characters, and at most {service.limits.characters} are taken"
        raise APIError(400, f"input: has {problem}; send it in parts", param="input")
    return wanted


def _inputs(wanted: SpeechRequest, served: Served, text: str) -> Inputs:
    model = served.model
    inputs: dict[str, Any] = {model.inputs[0].name: text}
    if speaker := input_named(model, "speaker", "voice"):
        inputs[speaker] = wanted.voice if isinstance(wanted.voice, str) else str(wanted.voice.get("id", ""))
    if speed := input_named(model, "speed"):
        inputs[speed] = wanted.speed
    elif wanted.speed != 1.0:
        raise APIError(400, f"the model {served.name!r} knows one speed only; leave it out", param="speed")
    return inputs


async def _spoken(served: Served, inputs: Inputs) -> Audio:
    (result,) = await served.compute([inputs], "input")
    if result.audio is None:
        raise APIError(500, f"the model {served.name!r} gave no audio", kind="server_error")
    return result.audio


async def _stream(
    service: Service,
    served: Served,
    began: float,
    encoder: Encoder,
    audio: Audio,
    rest: list[Inputs],
) -> AsyncIterator[bytes]:
    """The bytes of all pieces; an error after the first one breaks the answer off."""
    pause = np.zeros(round(PAUSE * audio.sample_rate), np.float32)
    for number in range(len(rest) + 1):
        service.meters.audio.labels(served.name).inc(audio.seconds)
        last = number == len(rest)
        samples = audio.samples if last else np.concatenate([audio.samples, pause])
        yield encoder.encode(samples, last)
        if not last:
            audio = await service.within(_spoken(served, rest[number]), began, 503)
