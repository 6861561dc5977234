"""Whether a stage has to run, and why."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from espnet3_core.errors import UserError
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.fingerprint import (
    Parts,
    changes,
    code_parts,
    config_parts,
    dataset_components,
    file_parts,
    is_below,
    order_parts,
    outputs_digest,
)
from espnet3_core.recipe.policies import advice, allowed
from espnet3_core.recipe.records import UNFINISHED, StageRecord, read_record, variant
from espnet3_core.recipe.stages import CONTINUED_BY
from espnet3_core.specs import StageSpec, SystemSpec

Status = Literal[
    "never run", "up to date", "stale", "interrupted", "failed", "running", "continues", "forced"
]


@dataclass(frozen=True)
class Decision:
    """What is to be done about a stage.

    Attributes:
        status: Where it stands.
        reasons: What changed, or what is missing, one line each.
        refused: It is stale and must not be run over: the lines are told to the user instead.
        parts: What its fingerprint covers now.
        record: Its last execution.
        problems: Why its data cannot be read, by key.
        advice: What of ``training.resume`` would allow the changes.
    """

    status: Status
    reasons: tuple[str, ...] = ()
    refused: bool = False
    parts: Parts = field(default_factory=dict, repr=False)
    record: StageRecord | None = field(default=None, repr=False)
    problems: Mapping[str, UserError] = field(default_factory=dict, repr=False)
    advice: str = ""

    @property
    def runs(self) -> bool:
        """Whether the stage runs when it is selected."""
        return self.status != "up to date" and not self.refused

    @property
    def text(self) -> str:
        """The status with its reasons, on one line."""
        return self.status + (f": {'; '.join(self.reasons)}" if self.reasons else "")


def record_path(experiment: Experiment, stage: StageSpec, stems: Mapping[str, str]) -> Path:
    """Where the record of a stage stands."""
    return experiment.record(stage.name, variant(stage, stems))


def own_parts(context: StageContext) -> Parts:
    """What the user's own files say: keys, the files that they name, and code; no data, no other stages."""
    nodes = {role: context.node(role) for role in context.stage.roles}
    parts = config_parts(context.stage, nodes)
    directory = context.recipe.directory
    return parts | file_parts(parts, directory) | code_parts(parts, context.stage, directory)


def all_parts(context: StageContext, system: SystemSpec) -> tuple[Parts, dict[str, UserError]]:
    """Everything that the stage's fingerprint covers, and why data cannot be read, by key."""
    parts, problems = own_parts(context), dict[str, UserError]()
    configs = {role: context.config(role) for role in context.stage.roles}
    for key, component in dataset_components(context.stage, configs).items():
        try:
            dataset = context.build_dataset(component)
            if hasattr(dataset, "fingerprint"):
                parts[f"data.{key}"] = dataset.fingerprint()
        except Exception as error:  # whatever a recipe's own dataset raises before its files are there
            parts[f"data.{key}"] = None
            problems[key] = error if isinstance(error, UserError) else UserError(f"{key}: {error}")
    for earlier in system.stages:
        if earlier.name in context.stage.after:
            parts[f"after.{earlier.name}"] = _result(earlier, context)
    return parts, problems


def _result(stage: StageSpec, context: StageContext) -> str | None:
    record = read_record(record_path(context.experiment, stage, context.stems))
    if record is not None and record.state == "done":
        return record.result
    return stage_result(stage, context.experiment, context.stems) if record is not None else None


def stage_result(stage: StageSpec, experiment: Experiment, stems: Mapping[str, str]) -> str | None:
    """Digest of what a stage has written into the experiment."""
    paths = [path for pattern in stage.outputs for path in experiment.outputs(pattern, stems)]
    return outputs_digest(paths, experiment.directory)


def continued_by(stage: StageSpec, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Values of the neutral keys that make a finished stage go on when raised."""
    found: dict[str, Any] = {}
    for key in CONTINUED_BY:
        if stage.on_stale != "refuse" or not is_below(key, stage.neutral):
            continue
        value: Any = nodes
        for word in key.split("."):
            value = value.get(word) if isinstance(value, Mapping) else None
        if value is not None:
            found[key] = value
    return found


def decide(context: StageContext, system: SystemSpec) -> Decision:
    """Compare a stage with its record."""
    stage, experiment = context.stage, context.experiment
    record = read_record(record_path(experiment, stage, context.stems))
    parts, problems = all_parts(context, system)
    decision = Decision("never run", parts=parts, record=record, problems=problems)
    if record is None:
        return replace(decision, status="forced") if context.force else decision
    elsewhere = record.host != socket.gethostname()  # where this machine cannot see what became of it
    if record.alive and not (context.force and elsewhere):
        return replace(decision, status="running", reasons=(f"process {record.pid} on {record.host}",))
    if context.force:
        return replace(decision, status="forced")
    old = _comparable(stage, system, record.parts, parts)
    started = stage.on_stale == "refuse" and stage_result(stage, experiment, context.stems) is not None
    if started:
        decision = replace(decision, advice=advice(old, parts))
        old = allowed(context, old, parts)
    changed = tuple(changes(old, parts))
    if record.state != "done":
        state: Status = "failed" if record.state == "failed" else "interrupted"
        if changed and started:
            return replace(decision, status="stale", reasons=changed, refused=True)
        why = (record.error.splitlines()[0],) if record.error else ()
        return replace(decision, status=state, reasons=why)
    gone = missing_outputs(record, experiment)
    if gone:
        return replace(decision, status="stale", reasons=tuple(f"{path} is gone" for path in gone))
    if changed:
        return replace(decision, status="stale", reasons=changed, refused=started)
    more = _raised(record.continued_by, continued_by(stage, {r: context.node(r) for r in stage.roles}))
    if more:
        return replace(decision, status="continues", reasons=tuple(more))
    if record.facts.get(UNFINISHED):
        return replace(decision, status="continues", reasons=(str(record.facts[UNFINISHED]),))
    return replace(decision, status="up to date")


def missing_outputs(record: StageRecord, experiment: Experiment) -> list[str]:
    """Recorded outputs that no longer exist."""
    return [text for text in record.outputs if not (experiment.directory / text).exists()]


def _comparable(stage: StageSpec, system: SystemSpec, old: Parts, new: Parts) -> Parts:
    """The old parts, where an earlier stage that had not run then does not count as changed.

    Its outputs were there all the same when training could use them, or it has none in the experiment.
    Records that do not tell the order of entries have them in that order.
    """
    without = {earlier.name for earlier in system.stages if not earlier.outputs}
    kept = order_parts(stage, old) | old
    for key, value in new.items():
        name = key.removeprefix("after.")
        if name != key and old.get(key) is None and (stage.on_stale == "refuse" or name in without):
            kept[key] = value
    return kept


def _raised(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    lines = []
    for key in dict.fromkeys([*new, *old]):
        before, after = old.get(key), new.get(key)
        numbers = [isinstance(value, int | float) for value in (before, after)]
        lower = all(numbers) and after is not None and before is not None and 0 <= after <= before
        if before != after and not lower:
            lines.append(f"{key}: {before} -> {after}")
    return lines


def refusal(
    experiment: Experiment,
    stage: StageSpec,
    reasons: Sequence[str],
    problems: Mapping[str, UserError] | None = None,
    advice: str = "",
) -> UserError:
    """Why a stage is not run over its former outputs, and what can be done."""
    if problems:
        return next(iter(problems.values()))
    listed = "\n".join(f"  {reason}" for reason in reasons)
    return UserError(
        f"{experiment.directory} holds a finished or begun {stage.name} with other inputs:\n{listed}",
        hint=(
            "--tag NAME keeps both; --force moves the old checkpoints aside and starts anew; "
            "with the former values the same command continues"
            + (f"; {advice} goes on with the new ones" if advice else "")
        ),
    )
