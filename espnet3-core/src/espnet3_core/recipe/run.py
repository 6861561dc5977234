"""Running a recipe: ``espnet3 run``, and the same from Python."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from espnet3_core.recipe import launch, logs
from espnet3_core.recipe.own_code import named_errors
from espnet3_core.recipe.recipe import Recipe
from espnet3_core.recipe.selection import select
from espnet3_core.recipe.session import RunResult, open_session


def run(
    recipe: str | os.PathLike[str] | Recipe = ".",
    *,
    stages: Sequence[str] | None = None,
    from_: str | None = None,
    to: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    tag: str | None = None,
    stems: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    command: Sequence[str] | None = None,
) -> RunResult:
    """Run the stages of a recipe that are not up to date.

    Args:
        recipe: Its folder.
        stages: Names of stages; None for the range, by default everything through ``measure``.
        from_: First stage of the range.
        to: Last stage of the range.
        force: Run the stages even when they are up to date; training moves the old checkpoints aside.
        dry_run: Say what would run, and touch nothing.
        tag: Name of the experiment; None for the stem of the training YAML.
        stems: Stem of a role's YAML where it is not the role's name: ``{"inference": "beam"}``.
        overrides: ``role.key=value``.
        command: Command line for the records; None for this process's own.

    Returns:
        What was done.

    Raises:
        UserError: Anything the user can mend; :class:`espnet3_core.errors.Interrupted` when stopped.
    """
    found = recipe if isinstance(recipe, Recipe) else Recipe.load(Path(recipe))
    stages = [stages] if isinstance(stages, str) else stages
    overrides = [overrides] if isinstance(overrides, str) else overrides
    with named_errors(found.directory):
        selected = select(found.system, stages, from_, to)
    level = logging.INFO if launch.rank() == 0 else logging.WARNING
    with logs.console(level), named_errors(found.directory), found.activate():
        session = open_session(
            found, tag=tag, stems=stems, overrides=overrides, force=force, command=command or sys.argv
        )
        found.check_requires()
        session.configs.load(session.roles_to_load(selected))
        session.configs.check_with_plugins()
        with stoppable():
            return session.dry_run(selected) if dry_run else session.run(selected)


class _Stopped(KeyboardInterrupt):
    """A signal asked the run to stop."""

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


@contextmanager
def stoppable() -> Iterator[None]:
    """Within a block, SIGTERM and SIGUSR1 (a cluster's time limit) stop the run as Ctrl-C does."""

    def stop(signum: int, frame: FrameType | None) -> None:
        raise _Stopped(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)]
    free = [number for number in numbers if signal.getsignal(number) is signal.SIG_DFL]
    for number in free:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in free:
            signal.signal(number, signal.SIG_DFL)
