"""The data sets of a recipe, and where the audio of their utterances is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from espnet3_core.build import registered_of
from espnet3_core.data.checking.audio import Facts, Job, facts_of
from espnet3_core.data.checking.findings import KINDS, CheckedItem, DataFinding, Role
from espnet3_core.data.dataset import PreparedDataset, audio_of, known_ids, place_of
from espnet3_core.errors import CheckFailed, Finding, UserError
from espnet3_core.recipe.context import StageContext


@dataclass
class Split:
    """A data set.

    Attributes:
        name: ``train``, ``valid`` or ``test/<name>``.
        role: What it is for.
        dataset: Its dataset, texts cleaned.
        facts: Facts of each utterance's audio; None for one without audio.
        items: Its utterances, once the audio has been examined.
    """

    name: str
    role: Role
    dataset: PreparedDataset
    facts: list[Facts | None] = field(default_factory=list)
    items: list[CheckedItem] = field(default_factory=list)

    def jobs(self) -> list[Job | None]:
        """Where the audio of each utterance is; None where only loading the item can tell."""
        places = (audio_of(self.dataset, index) for index in range(len(self.dataset)))
        return [None if place is None else Job(*place) for place in places]

    def complete(self, jobs: list[Job | None], found: Mapping[Job, Facts], sample_rate: int | None) -> None:
        """Fill facts and items in."""
        names = known_ids(self.dataset)
        for index, job in enumerate(jobs):
            facts = found[job] if job is not None else _loaded(self.dataset, index, sample_rate)
            samples = None
            if facts is not None and not facts.problem and facts.rate:
                samples = round(facts.frames * (sample_rate or facts.rate) / facts.rate)
            place = place_of(self.dataset, index)
            path = None if job is None else job.path
            fields = _described(self.dataset, index)
            self.facts.append(facts)
            self.items.append(CheckedItem(names[index], place, path, fields, samples))


def _loaded(dataset: PreparedDataset, index: int, sample_rate: int | None) -> Facts | None:
    try:
        item = dataset[index]
    except Exception as error:  # whatever a dataset of the user's own raises over a broken file
        reason = error.message if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return Facts(problem=getattr(error, "kind", "damaged"), reason=reason)
    return facts_of(item["speech"], sample_rate or 0) if "speech" in item else None


def _described(dataset: PreparedDataset, index: int) -> Mapping[str, Any]:
    try:
        return dataset.describe(index)
    except Exception:  # a transform that wants the audio: texts are not checked then
        return {}


def splits_of(context: StageContext, findings: list[DataFinding]) -> Iterator[Split]:
    """The data sets that the configurations name; what is wrong with their manifests becomes findings."""
    dataset = context.config("training").dataset
    named: list[tuple[str, Role, Any]] = [("train", "train", dataset.train)]
    if dataset.valid is not None:
        named.append(("valid", "valid", dataset.valid))
    if "inference" in context.configs:
        tests = context.config("inference").test_sets
        named += [(f"test/{name}", "test", component) for name, component in tests.items()]
    transforms = [
        part.build(**context.needs())
        for part in dataset.preprocess
        if part.name is None or registered_of(part).role == "text"
    ]
    for name, role, component in named:
        try:
            built = component.build(**context.needs(), lenient=True)
            prepared = PreparedDataset(
                built, sample_rate=context.sample_rate, preprocess=transforms, resample="soxr"
            )
            known_ids(prepared)
        except CheckFailed as error:
            findings += [_listing(finding, name) for finding in error.findings]
            continue
        except UserError as error:
            findings.append(_listing(Finding(message=error.message, hint=error.hint), name))
            continue
        findings += [_listing(finding, name) for finding in getattr(built, "findings", ())]
        yield Split(name, role, prepared)


def _listing(finding: Finding, split: str) -> DataFinding:
    """A broken line of a manifest."""
    kind = "duplicate id" if finding.message.startswith("duplicate id") else "listing"
    return DataFinding(
        kind=kind,
        reason=finding.message,
        split=split,
        id=finding.message.split("'")[1] if kind == "duplicate id" else None,
        place=finding.place,
        hint=finding.hint or KINDS[kind][1],
    )
