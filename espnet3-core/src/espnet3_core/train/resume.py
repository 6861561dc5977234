"""What an experiment already holds, and what that means for a training that starts in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet3_core.errors import UserError
from espnet3_core.train.checkpoints import LAST
from espnet3_core.train.position import Position

STATE = "espnet3"
"""Key of our own part of ``last.ckpt``."""


@dataclass(frozen=True)
class Resume:
    """A checkpoint to go on from.

    Attributes:
        path: ``last.ckpt``.
        position: Where it was taken.
        state: Our part of it: running means, tables of the best models.
    """

    path: Path
    position: Position
    state: Mapping[str, Any]


def find_resume(checkpoints: Path) -> Resume | None:
    """The checkpoint that the same command goes on from; None when training has not begun.

    Raises:
        UserError: There is one, but it cannot be read or is not ours.
    """
    import torch

    path = checkpoints / LAST
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
        state = content[STATE]
        return Resume(path, Position.from_dict(state["position"]), state)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{path}: cannot be resumed from: {reason}",
            hint="move it away to start anew, or choose another --tag",
        ) from error


def is_finished(position: Position, trainer: Mapping[str, Any]) -> bool:
    """Whether a position is at or past the end that ``trainer.max_epochs`` or ``max_steps`` sets."""
    max_steps = trainer.get("max_steps", -1)
    max_epochs = trainer.get("max_epochs", -1)
    by_steps = max_steps is not None and 0 <= max_steps <= position.step
    by_epochs = max_epochs is not None and 0 <= max_epochs <= position.epoch
    return by_steps or by_epochs
