"""Bodies of requests, read into memory within limits, and audio decoded from there."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from espnet3_core.data.audio import Samples
from espnet3_core.data.uploads import RefusedUpload, decode_upload
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from espnet3_serve.errors import APIError
from espnet3_serve.limits import Limits

FIELDS = 64 * 1024
"""Bytes of a form beyond its file: fields, names and boundaries."""


class _MemoryParser(MultiPartParser):
    """Starlette's parser, which never makes a temporary file: the body is limited before it comes here."""

    spool_max_size = sys.maxsize


async def read_body(request: Request, most: int) -> AsyncGenerator[bytes, None]:
    """The body of a request in chunks.

    Raises:
        APIError: 413, it has more bytes than ``most``.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > 15 or int(declared) > most):
        raise too_large(most)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise too_large(most)
        yield chunk


def too_large(most: int) -> APIError:
    """413."""
    return APIError(413, f"the upload has more than {most} bytes; send a shorter piece, or flac for wav")


async def read_form(request: Request, limits: Limits) -> FormData:
    """A form with one file, held in memory.

    Raises:
        APIError: It is not a form, is damaged, or too large.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise APIError(400, "the body must be multipart/form-data with the fields `file` and `model`")
    body = read_body(request, limits.bytes + FIELDS)
    parser = _MemoryParser(request.headers, body, max_files=1, max_fields=100, max_part_size=FIELDS)
    try:
        return await parser.parse()
    except MultiPartException as error:
        raise APIError(400, f"the form is damaged: {error.message}") from None
    except ValueError:
        # The client names the encoding of its fields, and not every one can be decoded.
        raise APIError(400, "the form is damaged: its fields cannot be decoded; send UTF-8") from None


def fields_of(form: FormData, lists: Iterable[str]) -> dict[str, Any]:
    """The fields of a form but for its file; those in ``lists`` may stand several times."""
    texts = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
    several = {name: [value for key, value in texts if key == name] for name in lists}
    return {**dict(texts), **{name: values for name, values in several.items() if values}}


async def file_of(form: FormData, limits: Limits) -> bytes:
    """The bytes of the form's file.

    Raises:
        APIError: There is none, or it is too large.
    """
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise APIError(400, "the form has no file in the field `file`", param="file")
    content = await file.read()
    await file.close()
    if len(content) > limits.bytes:
        raise too_large(limits.bytes)
    return content


def decode(content: bytes, sample_rate: int, limits: Limits) -> Samples:
    """Samples of an uploaded file, mono, at the model's rate. The file's name plays no part.

    Raises:
        APIError: It cannot be decoded, is cut off, or longer than allowed.
    """
    try:
        return decode_upload(content, sample_rate=sample_rate, seconds=limits.seconds)
    except RefusedUpload as error:
        code = "audio_too_long" if error.too_long else None
        raise APIError(400, error.message, param="file", code=code) from None
