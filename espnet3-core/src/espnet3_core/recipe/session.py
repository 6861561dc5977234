"""A recipe, one of its experiments and the configurations in force: what the stages of a run share."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.recipe import launch, logs, plan
from espnet3_core.recipe.configs import (
    Configs,
    check_overrides,
    check_roles,
    comes_after_training,
    training_differences,
)
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.execution import Execution, stage_function
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.fingerprint import changes
from espnet3_core.recipe.policies import advice, allowed
from espnet3_core.recipe.recipe import Recipe, stem_of
from espnet3_core.recipe.records import StageRecord, read_record
from espnet3_core.recipe.selection import roles_of
from espnet3_core.specs import StageSpec, SystemSpec

logger = logging.getLogger(logs.LOGGER)


@dataclass(frozen=True)
class StageOutcome:
    """What became of a stage.

    Attributes:
        stage: Its name.
        action: ``ran``, ``skipped`` because it is up to date, or, in a dry run, ``would run``,
            ``would refuse`` or ``not reached`` behind a stage that refuses.
        why: Status and reasons.
        seconds: How long it took.
    """

    stage: str
    action: str
    why: str
    seconds: float = 0.0


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    Attributes:
        experiment: Its folder.
        stages: Outcomes in the order in which the stages ran.
    """

    experiment: Path
    stages: tuple[StageOutcome, ...] = ()

    @property
    def ran(self) -> tuple[str, ...]:
        """Names of the stages that ran."""
        return tuple(outcome.stage for outcome in self.stages if outcome.action == "ran")


def open_session(
    recipe: Recipe,
    *,
    tag: str | None = None,
    stems: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    force: bool = False,
    command: Sequence[str] = (),
) -> Session:
    """What the stages of a run share. The recipe must be active."""
    roles = recipe.system.roles
    check_overrides(overrides, roles)
    check_roles(stems or {}, roles)
    chosen = {role: stem_of((stems or {}).get(role, role)) for role in (*roles, *(stems or {}))}
    experiment = Experiment.of(recipe.directory, tag or chosen.get("training", "training"))
    return Session(
        recipe=recipe,
        system=recipe.system,
        experiment=experiment,
        stems=chosen,
        configs=Configs(recipe, chosen, tuple(overrides)),
        force=force,
        overrides=tuple(overrides),
        command=tuple(logs.hide_secrets(command)),
    )


@dataclass(frozen=True)
class Session:
    """A recipe, one of its experiments, and the configurations in force."""

    recipe: Recipe
    system: SystemSpec
    experiment: Experiment
    stems: Mapping[str, str]
    configs: Configs
    force: bool = False
    overrides: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    _versions: dict[str, str] = field(default_factory=dict)

    def roles_to_load(self, selected: Sequence[StageSpec]) -> list[str]:
        """Roles whose files the stages read; a trained model's saved configuration needs no file."""
        stages = list(selected)
        if self.experiment.config_file("training").is_file():
            trains_again = [stage for stage in stages if not comes_after_training(stage, self.system)]
            roles = roles_of(trains_again)
            return roles + [role for role in roles_of(stages) if role not in (*roles, "training")]
        return roles_of(stages)

    def context(self, stage: StageSpec) -> StageContext:
        """The context of a stage."""
        return StageContext(
            recipe=self.recipe,
            experiment=self.experiment,
            stage=stage,
            stems=self.stems,
            catalog=self.recipe.catalog,
            configs=self.configs.for_stage(stage, self.system, self.experiment),
            force=self.force,
            overrides=self.overrides,
            rank=launch.rank(),
            logger=logger,
        )

    def dry_run(self, selected: Sequence[StageSpec]) -> RunResult:
        """Tell what :meth:`run` would do, and touch nothing."""
        outcomes, running, refused = [], set[str](), ""
        for stage in selected:
            decision = plan.decide(self.context(stage), self.system)
            why, runs = decision.text, decision.runs
            before = [name for name in stage.after if name in running]
            if not runs and not decision.refused and before:
                runs, why = True, f"{', '.join(before)} would run before it"
            if refused:
                action, why = "not reached", f"{refused} would refuse"
            elif decision.refused:
                action, refused = "would refuse", stage.name
            else:
                action = "would run" if runs else "skipped"
            if action == "would run":
                running.add(stage.name)
            outcomes.append(StageOutcome(stage.name, action, why))
            logger.info("%s: %s (%s)", stage.name, action, why)
        return RunResult(self.experiment.directory, tuple(outcomes))

    def run(self, selected: Sequence[StageSpec]) -> RunResult:
        """Run what is not up to date, in order; the first failure ends the run."""
        if launch.is_launched():
            self._refuse_several(selected)
        if launch.rank() > 0:
            return self._run_as_follower(selected)
        self._refuse_early(selected)
        self._warn_of_other_training(selected)
        outcomes = []
        for stage in selected:
            context = self.context(stage)
            decision = plan.decide(context, self.system)
            if decision.status == "running" and decision.record is not None:
                raise UserError(
                    f"{self.experiment.directory}: {stage.name} is running already ({decision.reasons[0]})",
                    hint="wait for it, stop it, or use --tag for another experiment; "
                    "if that machine has lost it, --force starts anew",
                )
            if decision.refused:
                raise plan.refusal(
                    self.experiment, stage, decision.reasons, decision.problems, decision.advice
                )
            if not decision.runs:
                self._say_skipped(stage, decision.record)
                outcomes.append(StageOutcome(stage.name, "skipped", decision.text))
                if stage.when_skipped is not None:
                    stage_function(stage, self.recipe, stage.when_skipped)(context)
                continue
            if self._kept_for_trained(context, decision):
                logger.info("%s: kept as the model was trained with it (%s)", stage.name, decision.text)
                outcomes.append(StageOutcome(stage.name, "skipped", decision.text))
                continue
            self._protect_unrecorded(context, decision)
            seconds = self._run_stage(context, decision)
            outcomes.append(StageOutcome(stage.name, "ran", decision.text, seconds))
        return RunResult(self.experiment.directory, tuple(outcomes))

    def _refuse_several(self, selected: Sequence[StageSpec]) -> None:
        """Refuse, on every process alike, stages that only one process may run."""
        others = [stage.name for stage in selected if not stage.distributed]
        if others:
            raise UserError(
                f"several processes were started, and {', '.join(others)} must run in one",
                hint="run these stages first, then start --stages train on several processes",
            )

    def _run_as_follower(self, selected: Sequence[StageSpec]) -> RunResult:
        """On every process but the first: the distributed stage alone, without records."""
        for stage in selected:
            stage_function(stage, self.recipe)(self.context(stage))
        return RunResult(self.experiment.directory)

    def _refuse_early(self, selected: Sequence[StageSpec]) -> None:
        """Refuse before anything has run, when the user's own files already say that training would."""
        for stage in selected:
            if stage.on_stale != "refuse" or self.force:
                continue
            context = self.context(stage)
            record = read_record(plan.record_path(self.experiment, stage, self.stems))
            if record is None or plan.stage_result(stage, self.experiment, self.stems) is None:
                continue
            groups = ("after.", "data.", "file.")
            old = {key: value for key, value in record.parts.items() if not key.startswith(groups)}
            new = {key: value for key, value in plan.own_parts(context).items() if not key.startswith(groups)}
            if reasons := changes(allowed(context, old, new), new):
                raise plan.refusal(self.experiment, stage, reasons, advice=advice(old, new))

    def _kept_for_trained(self, context: StageContext, decision: plan.Decision) -> bool:
        """Stages before training do not overwrite what a trained model was made with.

        Returns:
            Whether the stage is left as it is: training goes on with what was changed, or has done so.
        """
        stage, record, new = context.stage, decision.record, decision.parts
        if decision.status != "stale" or not stage.outputs or stage.on_stale == "refuse" or record is None:
            return False
        for later in self.system.stages:
            trained = later.on_stale == "refuse" and stage.name in later.after
            if not trained or plan.stage_result(later, self.experiment, self.stems) is None:
                continue
            training = read_record(plan.record_path(self.experiment, later, self.stems))
            old = allowed(context, record.parts, new, training.parts if training else None)
            if plan.missing_outputs(record, self.experiment) or changes(old, new):
                reasons, problems = decision.reasons, decision.problems
                raise plan.refusal(self.experiment, later, reasons, problems, advice(record.parts, new))
            return True
        return False

    def _protect_unrecorded(self, context: StageContext, decision: plan.Decision) -> None:
        """A model whose record was lost is not trained on with another configuration."""
        stage = context.stage
        if decision.status != "never run" or stage.on_stale != "refuse":
            return
        saved = self.configs.saved_training(self.experiment)
        if saved is None or plan.stage_result(stage, self.experiment, self.stems) is None:
            return
        current = context.configs["training"]
        if lines := training_differences(self.system, current.effective, saved.effective):
            raise plan.refusal(self.experiment, stage, lines)

    def _warn_of_other_training(self, selected: Sequence[StageSpec]) -> None:
        """Say when a trained model is used and the training YAML has changed since."""
        uses = any(comes_after_training(s, self.system) and "training" in s.roles for s in selected)
        if not uses or any(stage.on_stale == "refuse" for stage in selected):
            return
        saved = self.configs.saved_training(self.experiment)
        if saved is None or self._training_file_unchanged():
            return
        try:
            current = self.configs.current("training").effective
        except UserError as error:
            logger.warning("the training configuration has mistakes now: %s", error.message.splitlines()[0])
            return
        lines = training_differences(self.system, current, saved.effective)
        if lines:
            logger.warning(
                "%s was trained with another configuration than %s holds now; its own is used:\n%s",
                self.experiment.directory,
                self.stems["training"],
                "\n".join(f"  {line}" for line in lines),
            )

    def _training_file_unchanged(self) -> bool:
        """Whether no file of ``conf`` is newer than the saved configuration: nothing has to be composed."""
        saved = self.experiment.config_file("training").stat().st_mtime
        files = (self.recipe.directory / "conf").glob("**/*.yaml")
        said = [text for text in self.overrides if text.lstrip("+~").startswith("training")]
        return not said and all(file.stat().st_mtime <= saved for file in files)

    def _say_skipped(self, stage: StageSpec, record: StageRecord | None) -> None:
        logger.info("%s: up to date, skipped", stage.name)
        now = self._current_versions()
        old = {name: version for name, version in (record.versions if record else {}).items() if name in now}
        if other := [name for name, version in old.items() if now[name] != version]:
            made = ", ".join(f"{name} {old[name]}" for name in other)
            have = ", ".join(f"{name} {now[name]}" for name in other)
            logger.warning("%s was made with %s; installed: %s", stage.name, made, have)

    def _current_versions(self) -> dict[str, str]:
        if not self._versions:
            self._versions.update(logs.versions(self.recipe.catalog))
        return self._versions

    def _run_stage(self, context: StageContext, decision: plan.Decision) -> float:
        stage = context.stage
        reason = "" if decision.status == "never run" else f" ({decision.text})"
        level = logging.DEBUG if launch.is_stage_process() else logging.INFO  # its parent says so already
        logger.log(level, "%s: starts%s", stage.name, reason)
        start = time.monotonic()
        trainer = context.node("training").get("trainer") or {} if "training" in context.configs else {}
        if (
            stage.distributed
            and not launch.is_stage_process()
            and not launch.is_launched()
            and launch.process_count(trainer) > 1
        ):
            launch.run_stage_process(
                self.recipe.directory,
                stage.name,
                experiment=self.experiment,
                stems=self.stems,
                overrides=self.overrides,
                force=self.force,
            )
        else:
            Execution(context, decision, self.command, self._current_versions()).run()
        if stage.on_stale == "refuse":
            self.configs.forget_saved()
        seconds = time.monotonic() - start
        logger.log(level, "%s: done in %.1f s", stage.name, seconds)
        return seconds
