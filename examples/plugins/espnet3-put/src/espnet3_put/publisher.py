"""The publisher."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from espnet3_core.errors import UserError

from espnet3_put.config import PutServerConfig

_log = logging.getLogger(__name__)
_MANIFEST = "manifest.json"


class PutServer:
    """Sends each file with ``PUT``; those that the server has already (by ``ETag``) are left out.

    Args:
        config: The address.
    """

    def __init__(self, config: PutServerConfig) -> None:
        self.config = config
        self.url = config.url.rstrip("/")

    def publish(self, bundle: Path, *, dry_run: bool = False) -> str:
        """Send a bundle, its manifest last.

        Args:
            bundle: The folder.
            dry_run: Log what would be sent; do not even ask the server.

        Returns:
            The address of the manifest.

        Raises:
            UserError: The server cannot be reached, or refuses.
        """
        files = [path for path in bundle.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.name == _MANIFEST, path)):
            name, body = path.relative_to(bundle).as_posix(), path.read_bytes()
            if dry_run:
                _log.info("would send %s (%d bytes)", name, len(body))
            elif self._etag(name) == hashlib.sha256(body).hexdigest():
                _log.info("%s is there already", name)
            else:
                _log.info("sending %s (%d bytes)", name, len(body))
                self._ask("PUT", name, body).close()
        return f"{self.url}/{_MANIFEST}"

    def _etag(self, name: str) -> str | None:
        try:
            with self._ask("HEAD", name) as answer:
                return str(answer.headers.get("ETag", "")).strip('"')
        except FileNotFoundError:
            return None

    def _ask(self, method: str, name: str, body: bytes | None = None) -> http.client.HTTPResponse:
        address = f"{self.url}/{quote(name)}"
        request = urllib.request.Request(address, data=body, method=method)
        if token := os.environ.get("PUT_TOKEN"):
            request.add_header("Authorization", f"Bearer {token}")
        try:
            answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=self.config.timeout)
            return answer
        except urllib.error.HTTPError as error:
            if method == "HEAD" and error.code == 404:
                raise FileNotFoundError(address) from None
            hint = (
                "set PUT_TOKEN to a valid token" if error.code in (401, 403) else "look at the server's log"
            )
            raise UserError(f"{address}: the server answers {error.code} {error.reason}", hint=hint) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise UserError(
                f"{address}: cannot be reached: {reason}",
                hint="check publication.upload.url; the same command sends what is missing",
            ) from None
