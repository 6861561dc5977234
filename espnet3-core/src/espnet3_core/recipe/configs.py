"""Configurations of a run: those of the files now, and those that an experiment was made with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import CheckFailed, UserError
from espnet3_core.files import atomic_write_text
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.fingerprint import changes, config_parts
from espnet3_core.recipe.logs import LOGGER
from espnet3_core.specs import StageSpec, SystemSpec

if TYPE_CHECKING:
    from espnet3_core.config.load import RoleConfig
    from espnet3_core.recipe.recipe import Recipe

logger = logging.getLogger(LOGGER)


def read_saved(file: Path, role: str, system: SystemSpec) -> RoleConfig:
    """Read a configuration that :func:`save_configs` wrote.

    Raises:
        UserError: The file is gone, or no longer fits the schema.
    """
    from espnet3_core.config.load import load_resolved, schema_of

    if not file.is_file():
        raise UserError(
            f"{file}: the configuration that the experiment ran with is gone",
            hint="bring it back from a copy, or begin a new experiment with --tag",
        )
    return load_resolved(file, role, schema_of(system, role))


@dataclass
class Configs:
    """Resolved and validated configurations, read when first asked for.

    Attributes:
        recipe: The recipe.
        stems: Stem of each role's YAML.
        overrides: ``role.key=value`` of the command line.
    """

    recipe: Recipe
    stems: Mapping[str, str]
    overrides: tuple[str, ...] = ()
    _loaded: dict[str, RoleConfig] = field(default_factory=dict)
    _saved: RoleConfig | None = None

    def load(self, roles: Sequence[str]) -> None:
        """Read the files of some roles together, so that all their mistakes are told at once.

        Raises:
            CheckFailed: There are mistakes.
        """
        from espnet3_core.config.load import load_configs

        missing = [role for role in roles if role not in self._loaded]
        if missing:
            stems = {role: self.stems.get(role, role) for role in missing}
            overrides = [text for text in self.overrides if _role_of(text) in missing]
            loaded = load_configs(self.recipe, stems, overrides, missing)
            for config in loaded.values():
                for warning in config.warnings:
                    logger.warning("%s", warning)
            self._loaded.update(loaded)

    def check_with_plugins(self) -> None:
        """Ask the plugins' own checks about what was loaded, when it includes the training configuration.

        Raises:
            CheckFailed: A plugin finds an error, or its check fails.
        """
        if "training" not in self._loaded:
            return
        findings = self.recipe.catalog.check_config({role: c.node for role, c in self._loaded.items()})
        if errors := [finding for finding in findings if finding.level == "error"]:
            raise CheckFailed(errors)
        for finding in findings:
            logger.warning("%s", finding)

    def current(self, role: str) -> RoleConfig:
        """What the file of a role and the command line say."""
        self.load([role])
        return self._loaded[role]

    def saved_training(self, experiment: Experiment) -> RoleConfig | None:
        """The configuration that the experiment was trained with; None before training."""
        file = experiment.config_file("training")
        if self._saved is None and file.is_file():
            self._saved = read_saved(file, "training", self.recipe.system)
        return self._saved

    def for_stage(
        self,
        stage: StageSpec,
        system: SystemSpec,
        experiment: Experiment,
        known: Mapping[str, RoleConfig] | None = None,
    ) -> dict[str, RoleConfig]:
        """Configurations of a stage's roles; after training, ``training`` is the saved one.

        ``known`` holds those that need not be read.
        """
        found: dict[str, RoleConfig] = {}
        for role in stage.roles:
            saved = (known or {}).get(role)
            if role == "training" and comes_after_training(stage, system):
                saved = self.saved_training(experiment)
            found[role] = saved or self.current(role)
        return found

    def forget_saved(self) -> None:
        """Read the saved configuration anew: training has just written it."""
        self._saved = None


def comes_after_training(stage: StageSpec, system: SystemSpec) -> bool:
    """Whether a stage uses, directly or not, a stage that is never run over its outputs."""
    by_name = {other.name: other for other in system.stages}
    waiting, seen = list(stage.after), set[str]()
    while waiting:
        name = waiting.pop()
        earlier = by_name.get(name)
        if earlier is None or name in seen:
            continue
        if earlier.on_stale == "refuse":
            return True
        seen.add(name)
        waiting.extend(earlier.after)
    return False


def training_differences(
    system: SystemSpec, current: Mapping[str, Any], saved: Mapping[str, Any]
) -> list[str]:
    """Keys that matter for the trained model and differ between its configuration and the file now.

    Both have their defaults spelled out.
    """
    for stage in system.stages:
        if stage.on_stale == "refuse":
            old = config_parts(stage, {"training": saved})
            return changes(old, config_parts(stage, {"training": current}))
    return []


def save_configs(
    experiment: Experiment,
    stage: StageSpec,
    stems: Mapping[str, str],
    configs: Mapping[str, RoleConfig],
) -> None:
    """Write the configurations that a stage runs with, one file per role, with every default spelled out.

    ``training.yaml`` is written by training alone: it tells what the weights were made with.
    """
    import yaml

    for role, config in configs.items():
        if role == "training" and stage.on_stale != "refuse":
            continue
        name = role if role == "training" else stems.get(role, role)
        text = yaml.safe_dump(config.effective, sort_keys=False, allow_unicode=True, width=100)
        head = f"# Resolved configuration, role {role}, written by stage {stage.name}.\n"
        atomic_write_text(experiment.config_file(name), head + text)


def check_overrides(overrides: Sequence[str], roles: Sequence[str]) -> None:
    """Every override names a role of the system.

    Raises:
        UserError: One does not.
    """
    from espnet3_core.names import did_you_mean

    for text in overrides:
        role = _role_of(text)
        if role not in roles:
            listed = f"overrides look like ROLE.KEY=VALUE; roles are: {', '.join(roles)}"
            near = did_you_mean(role, roles)
            raise UserError(
                f"command line: {text}: there is no role {role!r}",
                hint=f"{near} {listed}" if near else listed,
            )


def check_roles(stems: Mapping[str, str], roles: Sequence[str]) -> None:
    """Every file is for a role of the system, or for one that all systems know.

    Raises:
        UserError: One is not.
    """
    from espnet3_core.config.roles import SCHEMAS
    from espnet3_core.names import did_you_mean

    for role, stem in stems.items():
        if role not in roles and role not in SCHEMAS:
            hint = did_you_mean(role, roles, otherwise=f"roles are: {', '.join(roles)}")
            raise UserError(f"{role}={stem}: there is no role {role!r}", hint=hint)


def _role_of(override: str) -> str:
    return override.lstrip("+~").partition("=")[0].partition(".")[0]
