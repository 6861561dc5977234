"""One stage in this process: its record, its log, and what happens when it is stopped or fails."""

from __future__ import annotations

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from espnet3_core.data.lock import file_lock
from espnet3_core.errors import Interrupted, UserError
from espnet3_core.recipe import logs, plan
from espnet3_core.recipe.configs import save_configs
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.fingerprint import digest_of, file_parts
from espnet3_core.recipe.recipe import Recipe
from espnet3_core.recipe.records import StageRecord
from espnet3_core.specs import StageSpec


@dataclass(frozen=True)
class Execution:
    """A stage that is about to run.

    Attributes:
        context: What it gets.
        decision: Why it runs.
        command: Command line, secrets left out.
        versions: Of everything that results depend on.
    """

    context: StageContext
    decision: plan.Decision
    command: Sequence[str]
    versions: Mapping[str, str]

    @property
    def path(self) -> Path:
        """Where the record stands."""
        return plan.record_path(self.context.experiment, self.context.stage, self.context.stems)

    def run(self) -> None:
        """Run the stage; the record says ``running`` meanwhile, and afterwards how it ended.

        Raises:
            Interrupted: It was stopped; the same command continues.
            UserError: Another process runs it at this moment.
        """
        with file_lock(self.path.with_suffix(".lock")):
            self._run()

    def _run(self) -> None:
        context, stage = self.context, self.context.stage
        if self.decision.status == "forced" and stage.on_stale == "refuse":
            self._move_aside()
        function = stage_function(stage, context.recipe)
        record = self._begin()
        record.write(self.path)
        save_configs(context.experiment, stage, context.stems, context.configs)
        facts = {"versions": record.versions, "git": record.git, "started": record.started}
        start = time.monotonic()
        with logs.log_file(context.experiment.log(stage.name), logs.header(self.command, facts)):
            try:
                context.catalog.before_stage(context)
                function(context)
                context.catalog.after_stage(context)
            except BaseException as error:
                self._end(record, start)
                _tell(record, error)
                with suppress(UserError):  # a full disk: the error says so, and would be hidden
                    record.write(self.path)
                if isinstance(error, KeyboardInterrupt):
                    message = f"{stage.name} was interrupted"
                    raise Interrupted(message, hint="the same command continues") from error
                raise
            self._end(record, start)
            self._succeed(record)
        record.write(self.path)

    def _move_aside(self) -> None:
        context = self.context
        for old in (context.experiment.checkpoints, context.experiment.metrics):
            if (kept := context.experiment.move_aside(old)) is not None:
                context.logger.info("%s: the old %s are now %s", context.stage.name, old.name, kept)

    def _begin(self) -> StageRecord:
        stage, decision, before = self.context.stage, self.decision, self.decision.record
        nodes = {role: self.context.node(role) for role in stage.roles}
        continues = before is not None and stage.on_stale == "refuse" and decision.status != "forced"
        return StageRecord(
            stage=stage.name,
            parts=dict(decision.parts),
            fingerprint=digest_of(decision.parts),
            continued_by=plan.continued_by(stage, nodes),
            versions=dict(self.versions),
            git=logs.git_state(self.context.recipe.directory),
            facts=dict(before.facts) if continues and before else {},
            seconds=before.seconds if continues and before else 0.0,
            started=_now(),
            command=list(self.command),
            overrides=logs.hide_secrets(self.context.overrides),
            seed=self.context.needs()["seed"] if "training" in stage.roles else None,
            host=socket.gethostname(),
            pid=os.getpid(),
        )

    def _end(self, record: StageRecord, start: float) -> None:
        record.finished, record.seconds = _now(), round(record.seconds + time.monotonic() - start, 3)
        record.facts |= self.context.notes.facts

    def _succeed(self, record: StageRecord) -> None:
        context, stage, experiment = self.context, self.context.stage, self.context.experiment
        # What the stage itself has made belongs to what it depends on: an archive it downloaded, say.
        made = file_parts(record.parts, context.recipe.directory)
        record.parts |= {key: value for key, value in made.items() if key not in record.parts}
        record.fingerprint = digest_of(record.parts)
        record.state = "done"
        found = [path for text in stage.outputs for path in experiment.outputs(text, context.stems)]
        paths = [*found, *context.notes.outputs]
        record.outputs = [os.path.relpath(path, experiment.directory) for path in paths]
        record.result = plan.stage_result(stage, experiment, context.stems) or record.fingerprint


def _tell(record: StageRecord, error: BaseException) -> None:
    """Note in the record, and in the log's file, how the stage failed."""
    if isinstance(error, KeyboardInterrupt | Interrupted):
        record.state = "interrupted"
        return
    record.state, record.error = "failed", str(error) or type(error).__name__
    trace = "".join(traceback.format_exception(error))
    logging.getLogger().info("%s failed\n%s", record.stage, trace)


def stage_function(
    stage: StageSpec, recipe: Recipe, named: str | Callable[[StageContext], Any] | None = None
) -> Callable[[StageContext], Any]:
    """The function of a stage: the one that runs it, or another that its record names.

    Raises:
        UserError: There is none of that name.
    """
    named = stage.run if named is None else named
    if not isinstance(named, str):
        return named
    from importlib import import_module

    module, _, attribute = named.partition(":")
    try:
        function = getattr(import_module(module), attribute)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and not module.startswith(error.name or "\0"):
            raise
        raise UserError(f"stage {stage.name} of {recipe.system_ref}: there is no function {named}") from error
    return function  # type: ignore[no-any-return]


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
