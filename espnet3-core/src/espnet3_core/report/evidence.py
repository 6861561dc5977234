"""All that an experiment has left, read once for the whole page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet3_core.errors import UserError
from espnet3_core.names import did_you_mean
from espnet3_core.recipe.records import StageRecord, read_record
from espnet3_core.report.journal import Journal
from espnet3_core.report.locate import Place
from espnet3_core.report.media import Media
from espnet3_core.report.results import TestSet, read_test_sets

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Evidence:
    """What the sections of the page read.

    Attributes:
        place: The experiment and its recipe.
        journal: What training logged.
        tests: Test sets with results and scores.
        media: Makes players and images while there is room.
        metric: By which utterances are ranked; None for the first that can.
        utterances: How many of each test set are shown one by one.
    """

    place: Place
    journal: Journal
    tests: tuple[TestSet, ...]
    media: Media
    metric: str | None = None
    utterances: int = 20

    @classmethod
    def gather(cls, place: Place, *, metric: str | None, utterances: int, audio: int) -> Evidence:
        """Read an experiment.

        Raises:
            UserError: No test set was scored by the metric; its scores are not JSON.
        """
        tests = tuple(read_test_sets(place.experiment.directory))
        known = dict.fromkeys(label for test in tests for label in test.scores)
        if metric is not None and metric not in known:
            listed = f"its metrics are {', '.join(known)}" if known else place.command("measure")
            raise UserError(
                f"{place.experiment.directory} has no scores of a metric {metric!r}",
                hint=did_you_mean(metric, known, otherwise=listed),
            )
        journal = Journal.read(place.experiment.metrics)
        return cls(place, journal, tests, Media(audio), metric, utterances)

    @cached_property
    def stages(self) -> dict[str, StageRecord]:
        """Records of the stages, by the names of their files, in the order in which they began."""
        files = self.place.experiment.stages.glob("*.json")
        found = {file.stem: record for file in sorted(files) if (record := read_record(file)) is not None}
        return dict(sorted(found.items(), key=lambda item: item[1].started))

    @cached_property
    def training(self) -> dict[str, Any]:
        """The configuration that it was trained with, as plain values; empty before training."""
        file = self.place.experiment.config_file("training")
        try:
            return read_mapping(file) if file.is_file() else {}
        except UserError:  # the section of configurations tells it
            return {}

    def group(self, key: str) -> dict[str, Any]:
        """A group of its keys, such as ``model``; empty where there is none."""
        found = self.training.get(key)
        return found if isinstance(found, dict) else {}

    @property
    def sample_rate(self) -> int | None:
        """Rate in Hz of the audio that reaches the model."""
        rate = self.group("dataset").get("sample_rate")
        return rate if isinstance(rate, int) else None

    @cached_property
    def index(self) -> Mapping[str, Any]:
        """``checkpoints/index.json``: what was selected and averaged."""
        from espnet3_core.train.checkpoints import read_index

        return read_index(self.place.experiment.checkpoints)

    @property
    def monitors(self) -> dict[str, str]:
        """Values by which models are selected, and whether the ``min`` or ``max`` is best."""
        chosen = self.group("checkpoint").get("best") or []
        found = self.index.get("selections") or chosen
        return {entry["monitor"]: entry.get("mode", "min") for entry in found if "monitor" in entry}


def read_mapping(file: Path) -> dict[str, Any]:
    """A saved configuration as plain values.

    Raises:
        UserError: It is no YAML, or no mapping.
    """
    import yaml

    try:
        found = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{file.name}: this is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(found, dict):
        raise UserError(f"{file.name}: a mapping is expected, not a {type(found).__name__}")
    return found
