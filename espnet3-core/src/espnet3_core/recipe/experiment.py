"""An experiment: ``exp/<tag>/``, all that one training configuration produced, and what lies where in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from espnet3_core.errors import UserError


@dataclass(frozen=True)
class Experiment:
    """Paths inside an experiment. Nothing is made before it is first written.

    Attributes:
        directory: ``exp/<tag>``.
    """

    directory: Path

    @classmethod
    def of(cls, recipe: Path, tag: str) -> Experiment:
        """The experiment of a recipe with a tag.

        Raises:
            UserError: The tag cannot be a folder's name.
        """
        tag = tag.replace("/", "_")
        if not re.fullmatch(r"[\w][\w.+=,-]*", tag):
            raise UserError(
                f"{tag!r} cannot be an experiment's tag", hint="use letters, digits, '_', '-' and '.'"
            )
        return cls(recipe / "exp" / tag)

    @property
    def tag(self) -> str:
        """Name of the folder."""
        return self.directory.name

    @property
    def config(self) -> Path:
        """Resolved configurations."""
        return self.directory / "config"

    @property
    def stats(self) -> Path:
        """Lengths and feature statistics, in folders keyed by what they depend on."""
        return self.directory / "stats"

    @property
    def checkpoints(self) -> Path:
        """Weights: best-k, last, averaged."""
        return self.directory / "checkpoints"

    @property
    def ranks(self) -> Path:
        """What each process of a running training does; left behind, with stacks, when one was lost."""
        return self.directory / "ranks"

    @property
    def logs(self) -> Path:
        """Log files, one per stage."""
        return self.directory / "logs"

    @property
    def metrics(self) -> Path:
        """Values logged in training, one JSON object per line."""
        return self.directory / "metrics.jsonl"

    @property
    def tokenizer(self) -> Path:
        """The trained tokenizer."""
        return self.directory / "tokenizer"

    @property
    def bundle(self) -> Path:
        """The packed model."""
        return self.directory / "bundle"

    @property
    def demo(self) -> Path:
        """The packed page."""
        return self.directory / "demo"

    @property
    def stages(self) -> Path:
        """Records of the stages."""
        return self.directory / "stages"

    def record(self, stage: str, variant: str = "") -> Path:
        """Record of a stage; ``variant`` tells apart those of several inference configurations."""
        return self.stages / (f"{stage}.{variant}.json" if variant else f"{stage}.json")

    def log(self, stage: str) -> Path:
        """Log file of a stage."""
        return self.logs / f"{stage}.log"

    def config_file(self, role: str) -> Path:
        """Saved configuration of a role (or of a variant, by its stem)."""
        return self.config / f"{role}.yaml"

    def inference(self, stem: str) -> Path:
        """Results of an inference configuration."""
        return self.directory / stem.replace("/", "_")

    def results(self, stem: str, test_set: str) -> Path:
        """Results of one test set."""
        return self.inference(stem) / test_set

    def outputs(self, pattern: str, stems: Mapping[str, str] | None = None) -> Iterator[Path]:
        """Existing paths that an output of a stage (``{inference}/*/results.jsonl``) stands for."""
        for role, stem in (stems or {}).items():
            pattern = pattern.replace(f"{{{role}}}", stem.replace("/", "_"))
        yield from sorted(self.directory.glob(pattern))

    def move_aside(self, path: Path) -> Path | None:
        """Rename a path to ``<name>.old-<n>``; returns where it is now, None if nothing was there."""
        if not path.exists():
            return None
        number = 1
        while (target := path.with_name(f"{path.name}.old-{number}")).exists():
            number += 1
        path.rename(target)
        return target
