"""What an experiment already holds, and what that means for a training that starts in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.config.roles import ResumeConfig
from espnet3_core.errors import UserError
from espnet3_core.train.checkpoints import other_weights, shapes_of
from espnet3_core.train.position import Position
from espnet3_core.train.states import LAST, PREVIOUS, Damaged, verify

if TYPE_CHECKING:
    from torch import nn

logger = logging.getLogger(__name__)

STATE = "espnet3"
"""Key of our own part of ``last.ckpt``."""

VERSION = 3
"""Of that part."""


class ResumeRefused(UserError):
    """A begun training would go on with something else than it was begun with."""


@dataclass(frozen=True)
class Resume:
    """A checkpoint to go on from.

    Attributes:
        path: ``last.ckpt``, or ``previous.ckpt`` when the last one is damaged.
        position: Where it was taken.
        state: Our part of it: running means, tables of the best models, what the batches follow from.
        shapes: Of the weights in it, by their names in the training module.
        policy: What may differ.
        other_plan: The batches are others than they were, so that the running epoch is begun again.
    """

    path: Path
    position: Position
    state: Mapping[str, Any]
    shapes: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict, repr=False)
    policy: ResumeConfig = field(default_factory=ResumeConfig)
    other_plan: bool = False

    def start(self, world_size: int) -> Position:
        """Where to go on with a number of processes.

        Another number than before, other data or another batch rule cut the epoch into other batches: where
        the policy allows them, it is begun again, with the weights as they are.

        Raises:
            ResumeRefused: The number is another, and the policy does not allow it.
        """
        before = self.state["world_size"]
        if world_size != before and self.policy.world_size == "refuse":
            raise ResumeRefused(
                f"{self.path}: trained with {before} processes before and {world_size} now",
                hint="training.resume.world_size=restart_epoch begins the running epoch again with the new "
                f"number; otherwise start {before}, or choose another --tag",
            )
        place = self.position
        if place.batch == 0 or not (self.other_plan or world_size != before):
            return place
        return Position(place.epoch, 0, place.step, place.total_batches - place.batch)

    def checked(self, plan: Mapping[str, Any], policy: ResumeConfig) -> Resume:
        """The same with a policy, once the batches of now are known to be those of then, or may be others.

        Args:
            plan: What the plan of batches follows from now: ``data``, a digest, and ``batch``, a mapping.
            policy: ``training.resume``.

        Raises:
            ResumeRefused: They are others, and the policy does not allow it.
        """
        saved = self.state.get("plan")
        if not saved:
            return replace(self, policy=policy)
        other = saved["data"] != plan["data"]
        if other and policy.data == "refuse":
            raise ResumeRefused(
                f"{self.path}: the training data is other than before",
                hint="training.resume.data=restart_epoch begins the running epoch again with the new data; "
                "otherwise restore the data, or choose another --tag",
            )
        changed = [
            f"{key}: {value} -> {plan['batch'][key]}"
            for key, value in saved["batch"].items()
            if plan["batch"].get(key, value) != value
        ]
        if changed and policy.batch == "refuse":
            raise ResumeRefused(
                f"{self.path}: batches are made by another rule than before: {', '.join(changed)}",
                hint="training.resume.batch=restart_epoch begins the running epoch again with the new rule; "
                "otherwise restore the former values, or choose another --tag",
            )
        return replace(self, policy=policy, other_plan=bool(other or changed))

    def check_model(self, module: nn.Module) -> None:
        """Find out before training whether the weights fit.

        Raises:
            ResumeRefused: They are of another model.
        """
        problems = other_weights(shapes_of(module.state_dict()), self.shapes)
        if problems and getattr(module, "strict_loading", True):
            raise ResumeRefused(
                f"{self.path} is a checkpoint of another model: {problems}",
                hint="no policy of training.resume goes on with it: choose another --tag",
            )


def find_resume(checkpoints: Path) -> Resume | None:
    """The checkpoint that the same command goes on from; None when training has not begun.

    When the last one was damaged, by a crash or by the disk, that is told, and the one before it is taken.

    Raises:
        UserError: There is one, but none can be read, or it is not ours.
    """
    problems = []
    for path in (checkpoints / LAST, checkpoints / PREVIOUS):
        if not path.exists():
            continue
        try:
            found = _read(path)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            problems.append(f"{path}: cannot be resumed from: {reason}")
            continue
        for problem in problems:
            logger.warning("%s; going on from %s (%s)", problem, path.name, found.position.words)
        return found
    if problems:
        raise UserError("\n".join(problems), hint="move it away to start anew, or choose another --tag")
    return None


def _read(path: Path) -> Resume:
    import torch

    verify(path)
    content = torch.load(path, map_location="cpu", weights_only=False, mmap=True)
    state = content[STATE]
    if state["version"] != VERSION:
        raise Damaged("another version of espnet3-core wrote it")
    return Resume(path, Position.from_dict(state["position"]), state, shapes_of(content["state_dict"]))


def last_of(position: Position) -> dict[str, Any]:
    """What ``index.json`` says about ``last.ckpt``."""
    return {"file": LAST, **position.to_dict()}


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
