"""The application: paths, refusals and counting around a service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from espnet3_serve.errors import add_error_handlers
from espnet3_serve.meters import Meters
from espnet3_serve.routes import speech, status, transcriptions
from espnet3_serve.service import Service


def create_app(service: Service) -> FastAPI:
    """The ASGI application of a service; its batchers live as long as its lifespan."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="espnet3 serve",
        version="1",
        summary="Packed espnet3 models as the OpenAI audio API",
        lifespan=lifespan,
    )
    app.state.service = service
    for module in (transcriptions, speech, status):
        app.include_router(module.router)
    add_error_handlers(app)
    app.add_middleware(_Counting, meters=service.meters)
    return app


class _Counting:
    """Counts answers and their time, by route."""

    def __init__(self, app: ASGIApp, meters: Meters) -> None:
        self._app = app
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            # Only paths that exist become labels: clients must not be able to make ever more of them.
            route = getattr(scope.get("route"), "path", "other")
            self._meters.requests.labels(route, str(status)).inc()
            self._meters.seconds.labels(route).observe(time.perf_counter() - began)
