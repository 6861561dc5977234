"""A stage's context in another process: what is sent there, and how it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.errors import UserError
from espnet3_core.recipe.configs import Configs, read_saved
from espnet3_core.recipe.context import StageContext
from espnet3_core.recipe.experiment import Experiment
from espnet3_core.recipe.sources import activate_in_worker


@dataclass(frozen=True)
class ContextReference:
    """Names a stage's context; it is small and can be pickled.

    Attributes:
        recipe: The recipe's folder.
        experiment: The experiment's folder, which holds the configurations that the stage runs with.
        stage: Name of the stage.
        stems: Stem of each role's YAML.
        overrides: ``role.key=value`` of the command line.
    """

    recipe: Path
    experiment: Path
    stage: str
    stems: Mapping[str, str]
    overrides: tuple[str, ...] = ()

    @classmethod
    def of(cls, context: StageContext) -> ContextReference:
        """The reference of a context whose configurations have been saved."""
        directory = context.experiment.directory
        return cls(
            context.recipe.directory, directory, context.stage.name, dict(context.stems), context.overrides
        )

    def open(self) -> StageContext:
        """The context, in the process that calls; the recipe is active there from now on.

        Raises:
            UserError: The recipe or a saved configuration has gone.
        """
        recipe, experiment = activate_in_worker(self.recipe), Experiment(self.experiment)
        stage = next((stage for stage in recipe.system.stages if stage.name == self.stage), None)
        if stage is None:
            raise UserError(
                f"{recipe.system_ref} has no stage {self.stage!r} any more",
                hint="the recipe has changed meanwhile: run the command again",
            )
        # That of training is the saved one, or that of the file where nothing has been trained here.
        sources = Configs(recipe, self.stems, self.overrides)
        saved = {role: experiment.config_file(self.stems.get(role, role)) for role in stage.roles}
        saved.pop("training", None)
        known = {role: read_saved(file, role, recipe.system) for role, file in saved.items()}
        return StageContext(
            recipe=recipe,
            experiment=experiment,
            stage=stage,
            stems=self.stems,
            catalog=recipe.catalog,
            configs=sources.for_stage(stage, recipe.system, experiment, known),
            overrides=self.overrides,
        )
