"""Configurations of a recipe's roles: composed, validated, and every mistake of all of them told at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.config.compose import Composed, compose
from espnet3_core.config.effective import defaults_of, effective
from espnet3_core.config.fields import import_target
from espnet3_core.config.named_optimizers import optimizers_findings
from espnet3_core.config.needs import need_findings
from espnet3_core.config.overrides import parse_overrides
from espnet3_core.config.places import Place, dotted, read_document
from espnet3_core.config.roles import SCHEMAS
from espnet3_core.config.schema import Part, examine
from espnet3_core.config.targets import target_findings
from espnet3_core.config.trainer_arguments import trainer_findings
from espnet3_core.errors import CheckFailed, Finding, UserError

if TYPE_CHECKING:
    from espnet3_core.recipe.recipe import Recipe
    from espnet3_core.specs import SystemSpec


@dataclass(frozen=True)
class RoleConfig:
    """One role's configuration.

    Attributes:
        role: ``training``, ``inference`` …
        stem: Stem of its file.
        node: Plain mapping as written, with files, overrides and interpolations resolved.
        config: Validated instance of the role's schema.
        origins: Place that set each key, by dotted key without the role.
        files: Files in merge order, lowest layer first.
        parts: Components that it chooses, nested ones included.
        warnings: What is worth telling and stops nothing.
    """

    role: str
    stem: str
    node: dict[str, Any]
    config: Any
    origins: Mapping[str, Place]
    files: tuple[str, ...]
    parts: tuple[Part, ...] = ()
    warnings: tuple[Finding, ...] = ()

    @cached_property
    def effective(self) -> dict[str, Any]:
        """The configuration with every default filled in, those of components included."""
        result: dict[str, Any] = effective(self.config)
        return result

    def place(self, key: str) -> str | None:
        """``file:line`` of a dotted key (with or without the role in front), or of the nearest above it."""
        return Composed(self.node, self.origins, self.files).place(key.removeprefix(f"{self.role}."))


@dataclass(frozen=True)
class Reading:
    """What reading one role gave: ``config`` is None when there are error findings."""

    role: str
    config: RoleConfig | None
    node: dict[str, Any] | None
    findings: tuple[Finding, ...]
    parts: tuple[Part, ...] = ()
    composed: Composed | None = None


def load_configs(
    recipe: Recipe,
    stems: Mapping[str, str],
    overrides: Sequence[str] = (),
    roles: Sequence[str] | None = None,
) -> dict[str, RoleConfig]:
    """Compose and validate some roles of a recipe.

    Args:
        recipe: The recipe.
        stems: Stem of the file of each role; a role's own name where it is left out.
        overrides: ``role.key=value``; those of other roles of the system are checked for their role only.
        roles: Roles to load; all of the system by default.

    Raises:
        CheckFailed: Any mistake in any of them; all are listed.
    """
    wanted = tuple(recipe.system.roles if roles is None else roles)
    readings, findings = read_roles(recipe, {role: stems.get(role, role) for role in wanted}, overrides)
    for reading in readings:
        findings += [*reading.findings, *deeper_findings(reading, recipe.system, recipe.directory)]
    if any(finding.level == "error" for finding in findings):
        raise CheckFailed(finding for finding in findings if finding.level == "error")
    return {reading.role: reading.config for reading in readings if reading.config is not None}


def read_roles(
    recipe: Recipe, stems: Mapping[str, str], overrides: Sequence[str], *, imports: bool = False
) -> tuple[list[Reading], list[Finding]]:
    """Read roles without stopping at mistakes.

    Args:
        recipe: The recipe.
        stems: Stem of each role to read.
        overrides: ``role.key=value``.
        imports: Import the recipe's own modules, to find what is wrong in them.

    Returns:
        One reading per role, and the findings about overrides as such.
    """
    with recipe.activate():
        known = tuple(dict.fromkeys([*recipe.system.roles, *stems]))
        parsed, findings = parse_overrides(overrides, known) if overrides else ([], [])
        readings = []
        for role, stem in stems.items():
            own = [override for override in parsed if override.role == role]
            try:
                file = recipe.config_file(role, stem)
                conf = recipe.directory / "conf"
                name = file.relative_to(conf).with_suffix("").as_posix()
                schema = schema_of(recipe.system, role)
                composed = compose(conf, name, role, own, defaults_of(schema))
            except CheckFailed as error:
                readings.append(Reading(role, None, None, error.findings))
                continue
            except UserError as error:
                finding = Finding(message=error.message, hint=error.hint)
                readings.append(Reading(role, None, None, (finding,)))
                continue
            readings.append(_examine(role, stem, composed, schema, recipe.directory if imports else None))
        return readings, findings


def deeper_findings(reading: Reading, system: SystemSpec, directory: Path) -> list[Finding]:
    """Needs that nobody provides and wrong trainer arguments, which the schemas do not know about."""
    if reading.composed is None or reading.node is None:
        return []
    findings = need_findings(reading.parts, system, directory)
    known = {finding.key for finding in reading.findings}
    findings = [finding for finding in findings if f"{finding.key}._target_" not in known]
    trainer = reading.node.get("trainer")
    if reading.role == "training" and isinstance(trainer, Mapping):
        own = reading.node.get("trainer_class")
        own = own if isinstance(own, str) else None
        findings += trainer_findings(trainer, "training.trainer", own, directory)
    if reading.role == "training":
        findings += optimizers_findings(reading.node, reading.parts)
    return placed(findings, reading.role, reading.composed)


def schema_of(system: Any, role: str) -> type:
    """The configuration dataclass of a role.

    Raises:
        UserError: Neither the system nor core has one.
    """
    target = system.schemas.get(role, SCHEMAS.get(role))
    if target is None:
        raise UserError(f"system {system.name} has no configuration schema for role {role!r}")
    schema: type = import_target(target)
    return schema


def _examine(role: str, stem: str, composed: Composed, schema: type, directory: Path | None) -> Reading:
    report = examine(schema, composed.node, role)
    failed = {finding.key for finding in composed.findings}
    found: list[Finding] = [
        *composed.findings,
        # A value whose interpolation failed is still text: its type is not a second mistake.
        *(finding for finding in report.findings if finding.key not in failed),
        *(
            finding
            for part in report.parts
            if part.component.target is not None
            for finding in target_findings(part.component, directory)
        ),
    ]
    warnings = tuple(
        Finding(message=str(item), level="warning", key=f"{role}.{item.key}", place=str(item.place))
        for item in composed.replaced
    )
    warnings += tuple(placed(report.warnings, role, composed))
    findings = placed(found, role, composed)
    config = None
    if report.instance is not None and not any(finding.level == "error" for finding in findings):
        config = RoleConfig(
            role,
            stem,
            composed.node,
            report.instance,
            composed.origins,
            composed.files,
            tuple(report.parts),
            (*warnings, *(finding for finding in findings if finding.level == "warning")),
        )
    return Reading(role, config, composed.node, (*findings, *warnings), tuple(report.parts), composed)


def placed(findings: Iterable[Finding], role: str, composed: Composed) -> list[Finding]:
    """Findings with the place of their key filled in."""
    result = []
    for finding in findings:
        place = finding.place
        if place is None and finding.key is not None:
            place = composed.place(finding.key.removeprefix(role).removeprefix("."))
        result.append(dataclasses.replace(finding, place=place))
    return result


def load_resolved(file: Path, role: str, schema: str | type) -> RoleConfig:
    """Read a configuration that a run has saved: plain YAML, without defaults lists and interpolation.

    Raises:
        CheckFailed: It does not fit the schema, for example because a newer version wrote it.
    """
    document = read_document(file)
    target = import_target(schema) if isinstance(schema, str) else schema
    origins = {dotted(key): place for key, place in document.places.items()}
    composed = Composed(document.data, origins, (str(file),))
    report = examine(target, document.data, role)
    if report.findings:
        raise CheckFailed(placed(report.findings, role, composed))
    return RoleConfig(
        role, file.stem, document.data, report.instance, origins, (str(file),), tuple(report.parts)
    )
