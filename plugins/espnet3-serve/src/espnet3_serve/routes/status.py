"""What there is and how it fares: models, health, readiness and figures."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from espnet3_serve.contract import gives
from espnet3_serve.errors import APIError
from espnet3_serve.routes.common import REFUSALS, Serving, authorised
from espnet3_serve.service import Served

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_KEYED: dict[int | str, dict[str, Any]] = {401: REFUSALS[401]}

router = APIRouter()


class ModelEntry(BaseModel):
    """A model that is served."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "espnet3"
    title: str
    language: list[str]
    sample_rate: int | None
    gives: list[str]


class ModelList(BaseModel):
    """All models that are served."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class Status(BaseModel):
    """How the server fares."""

    status: Literal["ok", "draining"]


def _entry(served: Served) -> ModelEntry:
    manifest = served.model.manifest
    return ModelEntry(
        id=served.name,
        created=served.created,
        title=manifest.title,
        language=list(manifest.language),
        sample_rate=served.model.sample_rate,
        gives=[kind for kind in ("text", "audio") if gives(served.model, kind)],
    )


@router.get("/v1/models", summary="The models", dependencies=[Depends(authorised)], responses=_KEYED)
async def models(service: Serving) -> ModelList:
    """List the models."""
    return ModelList(data=[_entry(served) for served in service.models.values()])


@router.get("/v1/models/{model}", summary="One model", dependencies=[Depends(authorised)], responses=REFUSALS)
async def model(model: str, service: Serving) -> ModelEntry:
    """Describe one model."""
    if model not in service.models:
        there_are = ", ".join(service.models)
        raise APIError(
            404, f"there is no model {model!r}; there are {there_are}", param="model", code="model_not_found"
        )
    return _entry(service.models[model])


@router.get("/health", summary="Whether the process lives")
async def health() -> Status:
    """Answer as long as the event loop turns."""
    return Status(status="ok")


@router.get("/ready", summary="Whether requests are taken", responses={503: {"model": Status}})
async def ready(service: Serving, response: Response) -> Status:
    """Say whether requests should be sent here."""
    if service.ready:
        return Status(status="ok")
    response.status_code = 503
    return Status(status="draining")


@router.get("/metrics", summary="Figures for Prometheus", response_class=PlainTextResponse)
async def metrics(service: Serving) -> Response:
    """Tell the counters in Prometheus' text format."""
    return Response(service.meters.text(), media_type=EXPOSITION)
