"""Names of the files in a bundle: which are refused, wherever they come from, before anything is opened."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from espnet3_core.bundle.limits import Limits
from espnet3_core.errors import UserError

SUFFIXES = frozenset({".json", ".safetensors", ".txt", ".tsv", ".md", ".model", ".wav", ".flac"})
"""Files that a bundle may hold: data that is read without running anything in it."""


def check_names(where: object, names: Iterable[str], limits: Limits) -> None:
    """Refuse names that lead elsewhere, mean two things, or are of files that may hold code.

    Args:
        where: The bundle, for messages.
        names: As they stand in the archive, the folder or the manifest.
        limits: Bounds on depth and number.

    Raises:
        UserError: The first name that is refused.
    """
    seen: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        if number > limits.files:
            raise refused(where, f"it holds more than {limits.files} files")
        if problem := name_problem(name, limits):
            raise refused(where, f"{name!r} {problem}")
        other = seen.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other is not name:
            problem = "stands in it twice" if other == name else f"and {other!r} are one file on some systems"
            raise refused(where, f"{name!r} {problem}")


def name_problem(name: str, limits: Limits) -> str | None:
    """What is wrong with a name, or None."""
    parts = name.split("/")
    if "\\" in name or any(ord(symbol) < 32 or symbol == "\x7f" for symbol in name):
        return "has a backslash or a control character in its name"
    if name.startswith(("/", "~")) or ":" in name:
        return "is an absolute path"
    if ".." in parts:
        return "leads outside of the bundle"
    if not all(parts) or "." in parts or any(part != part.strip(" ").rstrip(".") for part in parts):
        return "is not a plain relative path"
    if len(parts) - 1 > limits.depth:
        return f"lies deeper than {limits.depth} folders"
    if not any(parts[-1].endswith(suffix) for suffix in SUFFIXES):
        return f"is of a kind that bundles do not hold (they hold {', '.join(sorted(SUFFIXES))})"
    return None


def refused(where: object, problem: str) -> UserError:
    """The error for a bundle that is not opened."""
    return UserError(f"{where}: the bundle is refused: {problem}", hint="get or pack the bundle again")
