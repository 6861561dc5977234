"""Where the stages of an experiment stand."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.recipe import plan
from espnet3_core.recipe.recipe import Recipe
from espnet3_core.recipe.session import Session, open_session
from espnet3_core.specs import StageSpec


@dataclass(frozen=True)
class StageStatus:
    """A row of the table.

    Attributes:
        stage: Its name.
        state: ``up to date``, ``stale``, ``never run``, ``running``, ``interrupted``, ``failed``,
            ``continues`` (training that may go on) or ``not configured``.
        reasons: What changed or went wrong.
        finished: When it ended, ISO time.
        seconds: How long it took.
    """

    stage: str
    state: str
    reasons: tuple[str, ...] = ()
    finished: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class ExperimentStatus:
    """All stages of an experiment.

    Attributes:
        recipe: The recipe's folder.
        experiment: The experiment's folder.
        stages: Rows in declared order.
    """

    recipe: Path
    experiment: Path
    stages: tuple[StageStatus, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "recipe": str(self.recipe),
            "experiment": str(self.experiment),
            "stages": [asdict(row) for row in self.stages],
        }


def status(
    recipe: str | os.PathLike[str] = ".",
    *,
    tag: str | None = None,
    stems: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> ExperimentStatus:
    """Compare every stage of an experiment with its record; nothing is run or written.

    Raises:
        UserError: The folder is not a recipe.
    """
    found = Recipe.load(Path(recipe))
    with found.activate():
        session = open_session(found, tag=tag, stems=stems, overrides=overrides)
        rows = tuple(_row(session, stage) for stage in found.system.stages)
    return ExperimentStatus(found.directory, session.experiment.directory, rows)


def _row(session: Session, stage: StageSpec) -> StageStatus:
    for role in stage.roles:
        try:
            session.recipe.config_file(role, session.stems.get(role))
        except UserError:
            return StageStatus(stage.name, "not configured", (f"no conf/{session.stems.get(role)}.yaml",))
    try:
        decision = plan.decide(session.context(stage), session.system)
    except CheckFailed as error:
        return StageStatus(stage.name, "not configured", tuple(map(str, error.findings)))
    record = decision.record
    if record is None:
        return StageStatus(stage.name, decision.status, decision.reasons)
    return StageStatus(
        stage.name, decision.status, decision.reasons, record.finished or record.started, record.seconds
    )


def table(found: ExperimentStatus) -> str:
    """Aligned lines, reasons below their stage."""
    width = max(len(row.stage) for row in found.stages)
    lines = [str(found.experiment)]
    for row in found.stages:
        when = row.finished.replace("T", " ")[:16]
        took = duration(row.seconds) if row.seconds is not None else ""
        lines.append(f"{row.stage:<{width}}  {row.state:<14}  {when:<16}  {took:>9}".rstrip())
        lines.extend(f"{'':<{width}}    {reason}" for reason in row.reasons)
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds as ``4.2 s``, ``3 min 10 s`` or ``2 h 05 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
