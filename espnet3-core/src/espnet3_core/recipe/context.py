"""What a stage gets: its recipe, experiment and configurations, and what is built from them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.recipe.experiment import Experiment

if TYPE_CHECKING:
    from espnet3_core.catalog import Catalog
    from espnet3_core.component import Component
    from espnet3_core.config.load import RoleConfig
    from espnet3_core.recipe.recipe import Recipe
    from espnet3_core.specs import StageSpec


@dataclass
class Notes:
    """What a stage leaves for its record.

    Attributes:
        facts: Named values: the checkpoint used, counts, totals.
        outputs: Paths outside the experiment that must exist for the stage to count as done.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    outputs: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class StageContext:
    """Passed to ``StageSpec.run``.

    Attributes:
        recipe: The recipe, which is active while the stage runs.
        experiment: Where everything is written.
        stage: The stage.
        stems: Stem of each role's YAML.
        catalog: Components, the recipe's own hooks included.
        configs: Configurations of the stage's roles. After training, ``training`` is the configuration
            that the experiment was trained with, whatever its file says now.
        force: Whether ``--force`` was given.
        overrides: ``role.key=value`` of the command line.
        rank: Number of this process among those that train together.
        logger: Where to say what is done.
        notes: What the stage leaves for its record.
    """

    recipe: Recipe
    experiment: Experiment
    stage: StageSpec
    stems: Mapping[str, str]
    catalog: Catalog
    configs: Mapping[str, RoleConfig]
    force: bool = False
    overrides: tuple[str, ...] = ()
    rank: int = 0
    logger: logging.Logger = field(default_factory=lambda: logging.getLogger("espnet3"))
    notes: Notes = field(default_factory=Notes)
    datasets: dict[str, Any] = field(default_factory=dict, repr=False)

    def config(self, role: str) -> Any:
        """The validated configuration of a role: an instance of its schema.

        Raises:
            UserError: The stage does not declare the role.
        """
        return self._role(role).config

    def node(self, role: str) -> Mapping[str, Any]:
        """The resolved configuration of a role as plain values. It is shared: do not change it."""
        return self._role(role).node

    def _role(self, role: str) -> RoleConfig:
        if role not in self.configs:
            raise UserError(
                f"stage {self.stage.name} reads the role {role!r}, which it does not declare",
                hint=f"add it to roles=(…) of the stage in {self.recipe.system_ref}",
            )
        return self.configs[role]

    @property
    def inference_directory(self) -> Path:
        """Results of the chosen inference configuration."""
        return self.experiment.inference(self.stems.get("inference", "inference"))

    def results_file(self, test_set: str) -> Path:
        """``results.jsonl`` of a test set."""
        return self.inference_directory / test_set / "results.jsonl"

    def note(self, **facts: Any) -> None:
        """Keep facts in the stage's record."""
        self.notes.facts.update(facts)

    def output(self, path: Path) -> None:
        """Name something outside the experiment that must exist for the stage to count as done."""
        self.notes.outputs.append(path)

    @property
    def sample_rate(self) -> int | None:
        """Rate in Hz of all audio that reaches the model."""
        return getattr(getattr(self._training, "dataset", None), "sample_rate", None)

    @property
    def _training(self) -> Any:
        return self.config("training") if "training" in self.configs else None

    def needs(self) -> dict[str, Any]:
        """Runtime needs that every component of the recipe may ask for."""
        return {
            "recipe_dir": self.recipe.directory,
            "experiment": self.experiment.directory,
            "sample_rate": self.sample_rate,
            "seed": getattr(self._training, "seed", 0),
        }

    def build_dataset(self, component: Component) -> Any:
        """A dataset; one and the same object each time within a stage.

        Raises:
            UserError: It cannot be built: files are missing, lines are broken.
        """
        key = component.path or repr(component.to_node())
        if key not in self.datasets:
            needs = self.needs() | {"lenient": self._leaves_out(component)}
            self.datasets[key] = component.build(**needs)
        return self.datasets[key]

    def _leaves_out(self, component: Component) -> bool:
        """Whether what is bad in a dataset is left out, as the configuration that holds it says."""
        role = component.path.partition(".")[0]
        config = self.config(role) if role in self.configs else None
        return getattr(getattr(config, "dataset", config), "on_error", "stop") != "stop"

    def build_tokenizer(self) -> Any:
        """The experiment's trained tokenizer; None when the configuration has none.

        Raises:
            UserError: It has not been trained yet.
        """
        component = getattr(self._training, "tokenizer", None)
        if component is None:
            return None
        if not self.experiment.tokenizer.is_dir():
            raise UserError(
                f"{self.experiment.tokenizer}: the tokenizer has not been trained",
                hint="run the stage train_tokenizer first",
            )
        tokenizer = component.build(**self.needs())
        tokenizer.load(self.experiment.tokenizer)
        return tokenizer

    def build_model(self, stats: Any = None, tokenizer: Any = None, vocab_size: int | None = None) -> Any:
        """The model, with weights as its constructor leaves them.

        Args:
            stats: Feature statistics by name; None when weights are loaded, which hold them.
            tokenizer: From :meth:`build_tokenizer` where the caller has it already.
            vocab_size: Number of tokens, where it is not the tokenizer's.
        """
        tokenizer = self.build_tokenizer() if tokenizer is None else tokenizer
        needs = self.needs() | {"stats": stats}
        if tokenizer is not None:
            needs |= {"tokenizer": tokenizer, "vocab_size": vocab_size or len(tokenizer)}
        return self.config("training").model.build(**needs)
