"""What the configuration of a bundle must not hold: it chooses by name, and says plain values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from espnet3_core.errors import Finding

_SPECIAL = re.compile(r"_\w+_")
_ELSEWHERE = re.compile(r"[/\\]\S|~[/\w]|[A-Za-z]:[\\/]|\w+://|(?:.*[/\\])?\.\.(?:[/\\]|$)")


def foreign(node: Any, key: str, recipe: Path | None = None) -> Iterator[Finding]:
    """Import paths, interpolations, and paths of files elsewhere.

    Args:
        node: A configuration as plain containers.
        key: Its key path, for messages.
        recipe: When packing, the recipe's folder: files that exist there would be missed elsewhere.
    """
    if isinstance(node, Mapping):
        for name, value in node.items():
            if _SPECIAL.fullmatch(str(name)):
                yield _by_import_path(name, value, key, recipe)
            elif name != "name":
                yield from foreign(value, f"{key}.{name}", recipe)
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from foreign(value, f"{key}.{number}", recipe)
    elif isinstance(node, str):
        yield from _text(node, key, recipe)


def _by_import_path(name: str, value: Any, key: str, recipe: Path | None) -> Finding:
    if name != "_target_":
        return Finding(message=f"{name} belongs to import paths, and a bundle holds names only", key=key)
    return Finding(
        message=f"{value} is chosen by import path, and a bundle holds names only",
        key=key,
        hint=None
        if recipe is None
        else f"make it a plugin: espnet3 plugin from-recipe {recipe} NAME; "
        "then choose it by name, and pack again",
    )


def _text(text: str, key: str, recipe: Path | None) -> Iterator[Finding]:
    if "${" in text:
        yield Finding(message=f"{text!r} is an interpolation, and a bundle holds plain values", key=key)
    elif _ELSEWHERE.match(text) or (recipe is not None and _is_path(text, recipe)):
        yield Finding(
            message=f"{text!r} is a file or folder that the bundle would not hold",
            key=key,
            hint=None if recipe is None else "pack with a configuration that does without it",
        )


def _is_path(text: str, recipe: Path) -> bool:
    try:
        return ("/" in text or text.count(".") == 1) and text.strip("./") != "" and (recipe / text).exists()
    except OSError:
        return False
