"""JSON from strangers: bounded in size and depth, no key twice, finite numbers only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from espnet3_core.bundle.limits import Limits
from espnet3_core.bundle.names import refused

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def read_json(path: Path, limits: Limits) -> dict[str, Any]:
    """The object in a file.

    Raises:
        UserError: The file is too large or too deeply nested, or is not a JSON object.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.json_bytes + 1)
    except OSError as error:
        raise refused(path, f"it cannot be read: {error.strerror}") from None
    return parse_json(content, path, limits)


def parse_json(content: bytes, where: object, limits: Limits) -> dict[str, Any]:
    """The object in some bytes; raises as :func:`read_json` does."""
    if len(content) > limits.json_bytes:
        raise refused(where, f"it is JSON of more than {limits.json_bytes} bytes")
    if _depth(content) > limits.json_depth:
        raise refused(where, f"it is nested deeper than {limits.json_depth} levels")
    try:
        value = json.loads(
            content.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
        )
    except (ValueError, RecursionError) as error:
        raise refused(where, f"it is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise refused(where, "it is not a JSON object")
    return value


def _depth(content: bytes) -> int:
    depth = deepest = 0
    for match in _BRACKET.finditer(_STRING.sub(b"", content)):
        depth += 1 if match[0] in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return found


def _constant(text: str) -> Any:
    raise ValueError(f"{text} is not a finite number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is not a finite number")
    return value
