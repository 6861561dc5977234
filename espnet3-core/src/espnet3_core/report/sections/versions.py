"""Which code made the experiment."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from espnet3_core.recipe.records import StageRecord
from espnet3_core.report.evidence import Evidence
from espnet3_core.report.html import Markup, h, missing, table


def versions(evidence: Evidence) -> Iterator[Markup]:
    """Versions, commits and command lines of the stages; where stages differ, each is said."""
    if not evidence.stages:
        yield missing("No stage has left a record", evidence.place.command("train"))
        return
    names = dict.fromkeys(name for record in evidence.stages.values() for name in record.versions)
    rows = [
        [name, _by_stage({stage: record.versions.get(name, "") for stage, record in evidence.stages.items()})]
        for name in names
    ]
    rows.append(["commit of the recipe", _by_stage({s: _commit(r) for s, r in evidence.stages.items()})])
    yield table(["package", "version"], rows, class_="versions")
    commands: dict[str, list[str]] = {}
    for stage, record in evidence.stages.items():
        commands.setdefault(shlex.join(record.command), []).append(stage)
    told = [(", ".join(stages), h("code", line)) for line, stages in commands.items() if line]
    if told:
        yield table(["stages", "command"], told, class_="commands")


def _by_stage(values: dict[str, str]) -> str:
    """One value, or each with its stages."""
    by_value: dict[str, list[str]] = {}
    for stage, value in values.items():
        if value:
            by_value.setdefault(value, []).append(stage)
    if len(by_value) == 1:
        return next(iter(by_value))
    return "; ".join(f"{value} ({', '.join(stages)})" for value, stages in by_value.items())


def _commit(record: StageRecord) -> str:
    commit = str(record.git.get("commit") or "")[:12]
    return commit + (" with changes" if record.git.get("changed") else "") if commit else ""
