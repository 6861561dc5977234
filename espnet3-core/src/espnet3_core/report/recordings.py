"""What the test sets of an experiment hold: recordings and texts beside the results."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from espnet3_core.errors import UserError
from espnet3_core.report.locate import Place

if TYPE_CHECKING:
    from espnet3_core.component import Component
    from espnet3_core.infer.audio import Audio

_SPEECH = "speech"


class _Opened(NamedTuple):
    """A test set, and the places of its utterances in it."""

    dataset: Any
    places: dict[str, int]


@dataclass
class Recordings:
    """The test sets of an inference configuration, built from what the experiment saved of it.

    Attributes:
        components: Test sets by name.
        needs: What they are built with.
        problem: Why there are none.
        audio_fields: Fields that hold audio, as the system declares them.
        problems: Utterances that cannot be read, by why.
    """

    components: Mapping[str, Component] = field(default_factory=dict)
    needs: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    audio_fields: tuple[str, ...] = ()
    problems: dict[str, list[str]] = field(default_factory=dict)
    _sets: dict[str, _Opened | str] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def opened(cls, place: Place, stem: str, sample_rate: int | None) -> Iterator[Recordings]:
        """Those of an inference configuration; the recipe's own code can be used within the block."""
        from espnet3_core.recipe.configs import read_saved
        from espnet3_core.recipe.recipe import Recipe

        if place.recipe is None:
            yield cls(problem="the experiment does not stand in its recipe, so its test sets cannot be read")
            return
        with contextlib.ExitStack() as stack:
            try:
                recipe = stack.enter_context(Recipe.load(place.recipe).activate())
                saved = read_saved(_saved(place.experiment.config, stem), "inference", recipe.system)
                needs: dict[str, Any] = {"sample_rate": sample_rate, "seed": 0, "lenient": False}
                needs |= {"recipe_dir": recipe.directory, "experiment": place.experiment.directory}
                found = cls(saved.config.test_sets, needs, audio_fields=_audio_fields(recipe))
            except Exception as error:  # a recipe's or plugin's code: the rest of the page stands without it
                found = cls(problem=_words(error))
            yield found

    def item(
        self, test: str, utterance: str, *, audio: bool
    ) -> tuple[Mapping[str, Audio], Mapping[str, str]]:
        """Audio, where wanted, and texts of an utterance, by field; :attr:`problems` notes what failed."""
        try:
            if isinstance(found := self._set(test), str):
                raise UserError(found)
            if utterance not in found.places:
                raise UserError(f"test set {test!r} does not have them any more")
            number = found.places[utterance]
            return self._audio(found.dataset[number]) if audio else {}, _texts(found.dataset, number)
        except Exception as error:
            self.problems.setdefault(_words(error), []).append(utterance)
            return {}, {}

    def _set(self, test: str) -> _Opened | str:
        if test not in self._sets:
            try:
                self._sets[test] = self._open(test)
            except Exception as error:  # what failed once is not tried for every utterance
                self._sets[test] = _words(error)
        return self._sets[test]

    def _open(self, test: str) -> _Opened:
        from espnet3_core.data.dataset import PreparedDataset, ids_of

        if self.problem:
            raise UserError(self.problem)
        raw = self.components[test].build(**self.needs)
        dataset = PreparedDataset(raw, sample_rate=self.needs["sample_rate"], resample="soxr")
        return _Opened(dataset, {name: number for number, name in enumerate(ids_of(dataset))})

    def _audio(self, item: Mapping[str, Any]) -> dict[str, Audio]:
        import numpy as np

        from espnet3_core.infer.audio import Audio

        rate = self.needs["sample_rate"]
        if rate is None:
            raise UserError(
                "the training configuration states no sample_rate, so recordings cannot be played"
            )
        return {
            name: Audio(item[name], rate)
            for name in self.audio_fields
            if isinstance(item.get(name), np.ndarray) and item[name].ndim == 1 and item[name].size
        }


def _saved(folder: Path, stem: str) -> Path:
    """Saved configuration whose results stand in the folder ``stem``."""
    for file in sorted(folder.rglob("*.yaml")):
        if file.relative_to(folder).with_suffix("").as_posix().replace("/", "_") == stem:
            return file
    return folder / f"{stem}.yaml"


def _audio_fields(recipe: Any) -> tuple[str, ...]:
    system = recipe.system
    declared = [item.name for item in (*system.inputs, *system.outputs) if item.kind == "audio"]
    return tuple(dict.fromkeys([_SPEECH, *declared]))


def _texts(dataset: Any, index: int) -> dict[str, str]:
    described = dataset.describe(index)
    return {key: value for key, value in described.items() if isinstance(value, str) and key != "id"}


def _words(error: Exception) -> str:
    return error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
