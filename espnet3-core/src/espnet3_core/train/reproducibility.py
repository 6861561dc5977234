"""What ``trainer.deterministic: true`` says where an operation cannot keep the promise."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from espnet3_core.errors import UserError

_NAMED = re.compile(r"^(\S+) does not have a deterministic implementation")
_CUBLAS = re.compile(r"not deterministic because it uses (CuBLAS)")
_LIBRARIES = ("/torch/", "/lightning/", "/contextlib.py", "espnet3_core/train/")


@contextmanager
def only_deterministic() -> Iterator[None]:
    """Turn torch's refusal of an operation into a message that names it, and where it was called.

    Raises:
        UserError: ``trainer.deterministic`` is true and an operation has no deterministic implementation.
    """
    try:
        yield
    except RuntimeError as error:
        found = _NAMED.match(str(error)) or _CUBLAS.search(str(error))
        if found is None:
            raise
        hint = (
            "choose a component that does without it, train on the CPU, or set "
            "training.trainer.deterministic: warn to go on with results that may differ"
        )
        if found[1] == "CuBLAS":
            hint = "set the environment variable CUBLAS_WORKSPACE_CONFIG=:4096:8"
        raise UserError(
            f"training.trainer.deterministic: the operation {found[1]} has no deterministic implementation"
            f"{_called_at(error)}",
            hint=hint,
        ) from error


def _called_at(error: BaseException) -> str:
    """`` (at file:line)`` of the innermost call outside of the libraries; a backward pass has none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not any(part in frame.filename for part in _LIBRARIES):
            return f" (at {frame.filename}:{frame.lineno})"
    return ""
