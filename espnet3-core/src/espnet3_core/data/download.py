"""Downloading archives: resumed where they broke off, verified, and whole once they have their name."""

from __future__ import annotations

import http.client
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espnet3_core.data.archive import extract
from espnet3_core.data.builder import verify_checksum
from espnet3_core.data.lock import file_lock
from espnet3_core.errors import UserError
from espnet3_core.files import atomic_write_json, disk_errors, make_directory, sync_directory

__all__ = ["Progress", "download", "extract"]

_log = logging.getLogger(__name__)
_BLOCK = 1 << 18
_TEMPORARY = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int, int | None], None]
"""Called with the bytes on disk and the size of the whole, where the server says."""


class _Broken(Exception):
    """A transfer that may go on later."""


def download(
    url: str,
    target: str | os.PathLike[str],
    *,
    sha256: str | None = None,
    md5: str | None = None,
    retries: int = 5,
    timeout: float = 60.0,
    backoff: float = 1.0,
    progress: Progress | None = None,
) -> Path:
    """Download a file unless it is there.

    What has arrived is kept beside the target as ``<name>.part``; a broken transfer goes on from there, in
    this call or the next, as long as the server's file is still the same.

    Args:
        url: ``https://``, ``http://`` or ``file://``.
        target: Where the file shall stand.
        sha256: Checksum wanted.
        md5: Checksum wanted.
        retries: How often to go on after a transfer has broken off without any progress.
        timeout: Seconds without a byte after which a transfer counts as broken off.
        backoff: Seconds before the first retry; doubled each time, at most 30.
        progress: Told how far it is; None logs every tenth.

    Returns:
        ``target``.

    Raises:
        UserError: The file cannot be had, or is not the one wanted.
    """
    path = Path(target)
    hint = f"download {url} by hand and save it as {path}"
    if path.exists():
        verify_checksum(path, sha256=sha256, md5=md5, hint=f"delete {path}, then run the command again")
        return path
    make_directory(path.parent)
    part = path.with_name(f"{path.name}.part")
    with file_lock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return path
        failures = 0
        while True:
            before = _size(part)
            try:
                _transfer(url, part, timeout, progress or _Logged(path.name))
                break
            except _Broken as error:
                failures = 1 if _size(part) > before else failures + 1
                if failures > retries:
                    raise UserError(f"{url} cannot be downloaded: {error}", hint=hint) from error
                wait = min(30.0, backoff * 2 ** (failures - 1))
                _log.warning("%s: %s; going on in %.0f s", path.name, error, wait)
                time.sleep(wait)
            except (urllib.error.URLError, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise UserError(f"{url} cannot be downloaded: {reason}", hint=hint) from error
        _finish(part, path, sha256, md5)
    return path


def _finish(part: Path, path: Path, sha256: str | None, md5: str | None) -> None:
    try:
        verify_checksum(part, sha256=sha256, md5=md5)
    except UserError as error:
        part.unlink(missing_ok=True)
        _tag_file(part).unlink(missing_ok=True)
        raise UserError(
            error.message.replace(str(part), f"the download {path.name}"),
            hint="it was deleted; run the command again, and if this repeats, the source has changed",
        ) from error
    with disk_errors(path):
        os.replace(part, path)
    _tag_file(part).unlink(missing_ok=True)
    sync_directory(path.parent)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _tag_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _tag(part: Path, url: str) -> str | None:
    """The validator (ETag or date) of the file that ``part`` is the beginning of."""
    try:
        noted = json.loads(_tag_file(part).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return noted.get("tag") if isinstance(noted, dict) and noted.get("url") == url else None


def _transfer(url: str, part: Path, timeout: float, progress: Progress) -> None:
    """One connection: append what the server sends."""
    have = _size(part)
    tag = _tag(part, url)
    request = urllib.request.Request(url, headers={"User-Agent": "espnet3", "Accept-Encoding": "identity"})
    if have and tag:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            resumed = getattr(response, "status", None) == 206 and _starts_at(response, have)
            _note_tag(part, url, response)
            _receive(response, part, have if resumed else 0, progress)
    except urllib.error.HTTPError as error:
        if error.code == 416:
            _restart_or_accept(error, part, have)
        elif error.code in _TEMPORARY:
            raise _Broken(f"the server answers {error.code} {error.reason}") from error
        else:
            raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError | ConnectionError):
            raise _Broken(f"no connection: {error.reason}") from error
        raise
    except (TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise _Broken(f"the connection broke off ({error or type(error).__name__})") from error


def _starts_at(response: Any, have: int) -> bool:
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _restart_or_accept(error: urllib.error.HTTPError, part: Path, have: int) -> None:
    """The server has nothing after ``have`` bytes: complete when that is its size, else another file."""
    if error.headers.get("Content-Range", "") != f"bytes */{have}":
        part.unlink(missing_ok=True)
        raise _Broken("the file on the server has changed; starting again") from error


def _note_tag(part: Path, url: str, response: Any) -> None:
    tag = response.headers.get("ETag") or response.headers.get("Last-Modified")
    if tag and not tag.startswith("W/"):
        atomic_write_json(_tag_file(part), {"url": url, "tag": tag})
    else:
        _tag_file(part).unlink(missing_ok=True)


def _receive(response: Any, part: Path, have: int, progress: Progress) -> None:
    size = response.headers.get("Content-Length")
    total = have + int(size) if size is not None and size.isdigit() else None
    with disk_errors(part), open(part, "ab" if have else "wb") as stream:
        while block := response.read(_BLOCK):
            stream.write(block)
            have += len(block)
            progress(have, total)
        stream.flush()
        os.fsync(stream.fileno())
    if total is not None and have < total:
        raise _Broken(f"the connection broke off after {have} of {total} bytes")


class _Logged:
    """Progress as a line in the log at each tenth."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.tenth = 0

    def __call__(self, have: int, total: int | None) -> None:
        step = 10 * have // total if total else have // (50 << 20)
        if step > self.tenth:
            self.tenth = step
            share = f" of {total / 1e6:.1f} MB ({10 * step} %)" if total else " MB"
            _log.info("%s: %.1f%s", self.name, have / 1e6, share)
