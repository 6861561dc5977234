"""Refusals in the form of OpenAI's API: ``{"error": {"message", "type", "param", "code"}}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from espnet3_core.errors import UserError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

_log = logging.getLogger(__name__)

INVALID = "invalid_request_error"


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorBody(BaseModel):
    """The body of every response that is not a success."""

    error: ErrorDetail


class APIError(Exception):
    """A request that gets no answer.

    Args:
        status: HTTP status.
        message: What was wrong, and what to do.
        kind: OpenAI's ``type``.
        param: Parameter of the request that was wrong.
        code: Word for programs.
        headers: Headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        param: str | None = None,
        code: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        # A text in an encoding that the client chose may hold halves of surrogate pairs.
        printable = message.encode("utf-8", "replace").decode()
        self.body = ErrorBody(error=ErrorDetail(message=printable, type=kind, param=param, code=code))
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """The response that says so."""
        return Response(self.body.model_dump_json(), self.status, self.headers, "application/json")

    @classmethod
    def of(cls, error: UserError, param: str | None = None) -> APIError:
        """What the client can mend, told by core."""
        return cls(400, f"{error.message} ({error.hint})" if error.hint else error.message, param=param)

    @classmethod
    def invalid(cls, error: ValidationError | RequestValidationError) -> APIError:
        """The first of the problems that validation found."""
        problem = error.errors()[0]
        place = [str(part) for part in problem["loc"] if part not in ("body", "query", "path")]
        name = place[0] if place else None
        return cls(400, f"{'.'.join(place) or 'the body'}: {problem['msg']}", param=name)


def add_error_handlers(app: FastAPI) -> None:
    """Give every refusal of an app OpenAI's form."""

    async def refused(request: Request, error: Exception) -> Response:
        return _refusal(request, error).response()

    for kind in (APIError, RequestValidationError, HTTPException, ClientDisconnect, Exception):
        app.add_exception_handler(kind, refused)


def _refusal(request: Request, error: Exception) -> APIError:
    match error:
        case APIError():
            return error
        case RequestValidationError():
            return APIError.invalid(error)
        case ClientDisconnect():
            return APIError(400, "the client went away before the request was complete")
        case HTTPException():
            where = f"{request.method} {request.url.path}"
            return APIError(error.status_code, f"{where}: {error.detail}", headers=error.headers)
        case _:
            return failure(error)


def failure(error: BaseException) -> APIError:
    """A fault of the server or of the model, with its trace in the log."""
    _log.error("a request failed", exc_info=error)
    return APIError(500, "the server failed; its log says how", kind="server_error")
