"""Bearer keys."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

from espnet3_core.errors import UserError

VARIABLE = "ESPNET3_SERVE_KEYS"


class Keys:
    """Keys that clients may use; none at all lets everyone in.

    Only digests are kept. Every one is compared in constant time, so that the time of a refusal tells
    neither a key's beginning nor its length, nor which of them was near.
    """

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self._digests = [_digest(key.encode()) for key in keys]

    def allow(self, key: str | None) -> bool:
        """Whether a client that shows this key, decoded as headers are (Latin-1), may come in."""
        shown = _digest((key or "").encode("latin-1", "replace"))
        return not self._digests or any([hmac.compare_digest(shown, known) for known in self._digests])


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def read_keys(path: Path | None) -> Keys:
    """Keys from a file, one a line, and from ``$ESPNET3_SERVE_KEYS``, separated by commas.

    Raises:
        UserError: The file cannot be read, or no key is in it.
    """
    words = os.environ.get(VARIABLE, "").split(",")
    if path is not None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"--keys {path}: cannot be read: {error}", hint="a text file, one key a line"
            ) from None
        if not any(line.strip() for line in lines):
            raise UserError(f"--keys {path}: holds no key", hint="one key a line; leave --keys out for none")
        words += lines
    return Keys(word.strip() for word in words if word.strip())
