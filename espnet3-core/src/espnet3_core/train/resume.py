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

    def start(self, world_size: int) -> Position:
        """Where to go on with a number of processes.

        Another number than before cuts the epoch into other batches: it is begun again, with the weights as
        they are.
        """
        place = self.position
        if place.batch == 0 or world_size == self.state["world_size"]:
            return place
        return Position(place.epoch, 0, place.step, place.total_batches - place.batch)


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


LIMITS = ("max_epochs", "max_steps", "max_time")
"""Arguments of the trainer that say how long to train."""


def limits_of(trainer: Mapping[str, Any]) -> dict[str, str]:
    """The limits that are set."""
    return {key: str(trainer[key]) for key in LIMITS if trainer.get(key) is not None}


def is_finished(resume: Resume, trainer: Mapping[str, Any]) -> bool:
    """Whether training is at the end that the trainer's arguments set, or stopped early under the same."""
    if resume.state.get("stopped") is not None:
        return bool(resume.state["stopped"] == limits_of(trainer))
    position = resume.position
    max_steps = trainer.get("max_steps", -1)
    max_epochs = trainer.get("max_epochs", -1)
    by_steps = max_steps is not None and 0 <= max_steps <= position.step
    by_epochs = max_epochs is not None and 0 <= max_epochs <= position.epoch
    return by_steps or by_epochs
