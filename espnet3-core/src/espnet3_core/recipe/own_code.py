"""Errors in a recipe's own code: named by file, line and function, because their author can mend them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from espnet3_core.errors import UserError


@contextmanager
def named_errors(directory: Path) -> Iterator[None]:
    """Turn exceptions that pass through code below ``directory`` into user errors; others pass unchanged."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        place = place_of(error, directory)
        if place is None:
            raise
        raise UserError(
            f"{place}: {type(error).__name__}: {error}",
            hint="this is the recipe's own code; the full trace is in the log of the stage",
        ) from error


def place_of(error: BaseException, directory: Path) -> str | None:
    """``file:line, in function`` of the innermost frame below ``directory``, or None."""
    directory = directory.resolve()
    if isinstance(error, SyntaxError) and error.filename and _below(Path(error.filename), directory):
        return f"{Path(error.filename).resolve().relative_to(directory)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _below(Path(frame.filename), directory):
            return f"{Path(frame.filename).resolve().relative_to(directory)}:{frame.lineno}, in {frame.name}"
    return None


def _below(file: Path, directory: Path) -> bool:
    return file.is_absolute() and file.resolve().is_relative_to(directory)
