"""What the paths share: who may come in, how many, and what is said of refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import ClientDisconnect

from espnet3_serve.errors import APIError, ErrorBody
from espnet3_serve.service import Service

T = TypeVar("T")
_bearer = HTTPBearer(auto_error=False, description="One of the server's keys, where it has any.")

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorBody, "description": "The request is wrong; the message says what to mend."},
    401: {"model": ErrorBody, "description": "A key is needed."},
    404: {"model": ErrorBody, "description": "There is no such model."},
}
WORK_REFUSALS: dict[int | str, dict[str, Any]] = {
    **REFUSALS,
    408: {"model": ErrorBody, "description": "The upload took too long."},
    413: {"model": ErrorBody, "description": "The upload is too large."},
    429: {"model": ErrorBody, "description": "The queue is full; see Retry-After."},
    500: {"model": ErrorBody, "description": "The server failed."},
    503: {"model": ErrorBody, "description": "Computing took too long."},
}


async def service_of(request: Request) -> Service:
    """What answers the requests of the app."""
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]


async def authorised(
    service: Serving, shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> None:
    """Let in who shows a key.

    Raises:
        APIError: 401, the key is missing or wrong.
    """
    if service.keys.allow(shown.credentials if shown else None):
        return
    problem = "this key is not known" if shown else "this server wants a key"
    raise APIError(
        401,
        f"{problem}: send the header `Authorization: Bearer KEY`",
        kind="authentication_error",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


async def entered(service: Serving) -> AsyncIterator[float]:
    """Hold a place in the queue until the answer is sent; the time when it began."""
    async with service.gate.enter():
        yield asyncio.get_running_loop().time()


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do work for a client that waits for it; its body must have been read.

    Raises:
        ClientDisconnect: It has gone; the work is given up.
    """
    job, gone = asyncio.create_task(work), asyncio.create_task(_disconnected(request))
    try:
        await asyncio.wait({job, gone}, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            return job.result()
        raise ClientDisconnect
    finally:
        job.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


Began = Annotated[float, Depends(entered)]
